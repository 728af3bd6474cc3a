import 'dart:convert';
import 'dart:typed_data';

import 'answer.dart';
import 'errors.dart';
import 'file.dart';
import 'method.dart';
import 'problem.dart';

/// What the content of a call's answer means.
abstract base class Reading<O> {
  /// What is called. Its `encode` must not be read: the type is too wide.
  Method<Object?, O> get method;

  /// The address of the method.
  Uri get url;

  /// The call's id, the key of all its tries.
  String get id;

  /// Bytes of the answer, or of an item.
  int get maxAnswer;

  /// The server has told the call's end.
  void over();

  /// The message of an answer. Throws [DecodeException].
  O result(Answer answer) {
    over();
    if (answer.content.length > maxAnswer) {
      throw unexpected('the answer is longer than $maxAnswer bytes');
    }
    if (answer.status == 204) return decode(null);
    if (method.isFile) {
      return decode(
        FileData.bytes(
          answer.content,
          mediaType: answer.mediaType.isEmpty ? null : answer.mediaType,
        ),
      );
    }
    if (!answer.isJson) throw foreign(answer, url: url, callId: id);
    return decodeBytes(answer.content);
  }

  /// The message of JSON in UTF-8. Throws [DecodeException].
  O decodeBytes(Uint8List content) {
    final Object? value;
    try {
      value = _json.convert(content);
    } on FormatException catch (error) {
      throw unexpected('the answer is not JSON: ${error.message}');
    }
    return decode(value);
  }

  /// The message of JSON. Throws [DecodeException].
  O decodeText(String text) {
    final Object? value;
    try {
      value = json.decode(text);
    } on FormatException catch (error) {
      throw unexpected('the answer is not JSON: ${error.message}');
    }
    return decode(value);
  }

  /// The message of a JSON value, or of a file. Throws [DecodeException].
  O decode(Object? value) {
    try {
      return method.decode(value);
    } on DecodeException catch (error) {
      final place = error.path.isEmpty ? '' : '${error.path} ';
      throw unexpected('$place${error.message}', error.path);
    } catch (error) {
      // Whatever a decoder stumbles over, a value of another version did it.
      throw unexpected('$error');
    }
  }

  /// The exception of what is none of ours.
  DecodeException unexpected(String reason, [String path = '']) =>
      DecodeException(
        'the answer does not fit ${method.qualifiedName}: $reason',
        path: path,
        callId: id,
      );
}

final Converter<List<int>, Object?> _json = utf8.decoder.fuse(json.decoder);
