import 'dart:convert';
import 'dart:typed_data';

/// The most bytes of a problem document or of a foreign error page.
const int maxProblem = 1024 * 1024;

/// An answer of HTTP that is whole.
final class Answer {
  /// [headers] have lower-case names.
  const Answer(this.status, this.headers, this.content);

  /// The answer's head, without its content.
  Answer.head(this.status, this.headers) : content = Uint8List(0);

  /// The status.
  final int status;

  /// The headers.
  final Map<String, String> headers;

  /// The content.
  final Uint8List content;

  /// Whether the status says that it went well.
  bool get isSuccess => status >= 200 && status < 300;

  /// The media type without parameters; empty where there is none.
  String get mediaType =>
      (headers['content-type'] ?? '').split(';').first.trim().toLowerCase();

  /// Whether the content says that it is JSON.
  bool get isJson =>
      mediaType == 'application/json' || mediaType.endsWith('+json');

  /// The problem document (RFC 9457) that it is; null where it is none.
  Map<String, Object?>? get problem =>
      mediaType == 'application/problem+json'
          ? objectOf(utf8.decode(content, allowMalformed: true))
          : null;

  /// Of `Retry-After` in seconds (RFC 9110, 10.2.3).
  Duration? get retryAfter => retryAfterOf(headers['retry-after']);

  /// The beginning of the content, for messages.
  String get start {
    final bytes = Uint8List.sublistView(
      content,
      0,
      content.length < 800 ? content.length : 800,
    );
    final text = utf8.decode(bytes, allowMalformed: true).trim();
    return text.length <= 200 ? text : '${text.substring(0, 200)}…';
  }
}

/// The seconds of a `Retry-After`; null where they are none.
Duration? retryAfterOf(String? value) {
  final text = value?.trim() ?? '';
  if (!RegExp(r'^[0-9]{1,9}$').hasMatch(text)) return null;
  return Duration(seconds: int.parse(text));
}

/// The JSON object that [text] is; null where it is none.
Map<String, Object?>? objectOf(String text) {
  try {
    final Object? found = json.decode(text);
    return found is Map<String, Object?> ? found : null;
  } on FormatException {
    return null;
  }
}
