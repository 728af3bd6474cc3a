import 'call.dart';

const int _maxLength = 8192;
const int _maxEntries = 32;

/// The entries of a `Server-Timing` header (W3C Server Timing, 4) by name. Of
/// entries of the same name the first counts. What cannot be read is left out.
Map<String, Timing> parseServerTiming(String? header) {
  if (header == null || header.isEmpty || header.length > _maxLength) {
    return const {};
  }
  final timings = <String, Timing>{};
  for (final entry in _split(header, ',')) {
    if (timings.length >= _maxEntries) break;
    final parts = _split(entry, ';').toList();
    final name = parts.first.trim();
    if (name.isEmpty || !_token.hasMatch(name)) continue;
    Duration? duration;
    String? description;
    for (final part in parts.skip(1)) {
      final equals = part.indexOf('=');
      if (equals < 0) continue;
      final value = _unquoted(part.substring(equals + 1).trim());
      switch (part.substring(0, equals).trim().toLowerCase()) {
        case 'dur':
          duration ??= _milliseconds(value);
        case 'desc':
          description ??= value;
      }
    }
    timings.putIfAbsent(
      name,
      () => Timing(duration: duration, description: description),
    );
  }
  return Map.unmodifiable(timings);
}

final RegExp _token = RegExp(r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$");

Duration? _milliseconds(String text) {
  final value = double.tryParse(text);
  // A day bounds it: more is no time that a call took.
  if (value == null || !(value >= 0 && value < 86400000)) return null;
  return Duration(microseconds: (value * 1000).round());
}

/// The pieces between [separator]s that stand outside of quotes.
Iterable<String> _split(String text, String separator) sync* {
  var start = 0, isQuoted = false;
  for (var i = 0; i < text.length; i++) {
    final char = text[i];
    if (isQuoted && char == r'\') {
      i++;
    } else if (char == '"') {
      isQuoted = !isQuoted;
    } else if (char == separator && !isQuoted) {
      yield text.substring(start, i);
      start = i + 1;
    }
  }
  yield text.substring(start);
}

String _unquoted(String text) {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) {
    return text;
  }
  return text
      .substring(1, text.length - 1)
      .replaceAllMapped(RegExp(r'\\(.)'), (match) => match[1]!);
}
