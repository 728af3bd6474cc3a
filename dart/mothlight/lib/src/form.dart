import 'dart:convert';
import 'dart:typed_data';

import 'body.dart';
import 'file.dart';
import 'method.dart';
import 'random_id.dart';

/// A name with a text or a [FileData], as a form or a query has them.
typedef FormEntry = (String, Object);

/// The entries of a message as [form] has them, and the fields that no form can
/// say. [parameter] names the one value of a message that is no object.
(List<FormEntry>, Map<String, Object?>) formEntries(
  List<FormField> form,
  String? parameter,
  Object? message,
) {
  final members = switch (message) {
    _ when parameter != null => {parameter: message},
    final Map<String, Object?> members => members,
    _ => throw ArgumentError.value(message, 'message', 'is no object'),
  };
  final entries = <FormEntry>[];
  final unsaid = <String, Object?>{};
  for (final field in form) {
    if (!members.containsKey(field.name)) continue;
    final values = _values(field, members[field.name]);
    if (values == null) unsaid[field.name] = members[field.name];
    entries.addAll([
      for (final value in values ?? const []) (field.name, value),
    ]);
  }
  return (entries, unsaid);
}

/// The values of a field; null where no form can say this one.
List<Object>? _values(FormField field, Object? value) {
  if (value == null) {
    if (field.nullIsAbsent) return const [];
    return field.nullIsEmpty ? const [''] : null;
  }
  if (field.nullIsEmpty && value == '') return null; // it would be null
  if (!field.isList) return _single(field.kind, value);
  final items = value as List<Object?>;
  if (items.isEmpty) return field.emptyIsAbsent ? const [] : null;
  final values = <Object>[];
  for (final item in items) {
    final single = _single(field.kind, item);
    if (single == null) return null;
    values.addAll(single);
  }
  return values;
}

List<Object>? _single(FormKind kind, Object? value) => switch ((kind, value)) {
  (FormKind.file, final FileData file) => [file],
  (FormKind.file, _) => null,
  (FormKind.text, final String text) => [text],
  (_, _) when hasFile(value) => null, // a file within is base64, in JSON
  (_, _) => [jsonEncode(value)],
};

/// A query string (WHATWG URL, application/x-www-form-urlencoded).
String encodeQuery(List<FormEntry> entries) => [
  for (final (name, value) in entries)
    '${Uri.encodeQueryComponent(name)}=${Uri.encodeQueryComponent('$value')}',
].join('&');

/// A body of multipart/form-data (RFC 7578).
RequestBody encodeMultipart(List<FormEntry> entries) {
  final boundary = randomId();
  final pieces = <Object>[];
  for (final (name, value) in entries) {
    final head =
        '--$boundary\r\n'
        'content-disposition: form-data; name="${_quoted(name)}"';
    if (value is FileData) {
      final fileName = value.name.isEmpty ? name : value.name;
      pieces.addAll([
        utf8.encode(
          '$head; filename="${_quoted(fileName)}"\r\n'
          'content-type: ${_mediaType(value)}\r\n\r\n',
        ),
        value,
        utf8.encode('\r\n'),
      ]);
    } else {
      pieces.add(utf8.encode('$head\r\n\r\n$value\r\n'));
    }
  }
  pieces.add(utf8.encode('--$boundary--\r\n'));
  return RequestBody(
    contentType: 'multipart/form-data; boundary=$boundary',
    contentLength: pieces.fold(
      0,
      (sum, piece) =>
          sum +
          switch (piece) {
            final FileData file => file.length,
            _ => (piece as Uint8List).length,
          },
    ),
    pieces: pieces,
  );
}

/// A name in a part's head (WHATWG HTML, the algorithm of
/// multipart/form-data).
String _quoted(String name) =>
    name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

final RegExp _visible = RegExp(r'^[\x20-\x7e]+$');

/// A media type that ends no line.
String _mediaType(FileData file) => switch (file.mediaType) {
  final type? when _visible.hasMatch(type) => type,
  _ => 'application/octet-stream',
};
