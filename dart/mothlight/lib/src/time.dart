import 'errors.dart';
import 'integers.dart';
import 'json.dart';

final RegExp _dateTime = RegExp(
  r'^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,30}))?)?'
  r'(?:([Zz])|([+-])(\d\d):?(\d\d))?)?$',
);

const String _amount = r'(\d{1,15}(?:[.,]\d{1,30})?)';
final RegExp _iso = RegExp(
  '^([+-])?P(?=T?\\d)(?:${_amount}Y)?(?:${_amount}M)?(?:${_amount}W)?'
  '(?:${_amount}D)?'
  '(?:T(?:${_amount}H)?(?:${_amount}M)?(?:${_amount}S)?)?\$',
);
final RegExp _clock = RegExp(
  r'^([+-])?(?:(\d{1,15}) ?d(?:ays?)?,? ?)?(\d\d):(\d\d)'
  r'(?::(\d\d(?:[.,]\d{1,30})?))?$',
);

const int _second = Duration.microsecondsPerSecond;
const int _minute = Duration.microsecondsPerMinute;
const int _hour = Duration.microsecondsPerHour;
const int _day = Duration.microsecondsPerDay;

/// Microseconds of what the groups of [_iso] count, from the second on.
const List<int> _isoUnits = [
  365 * _day,
  30 * _day,
  7 * _day,
  _day,
  _hour,
  _minute,
  _second,
];

/// The same for [_clock].
const List<int> _clockUnits = [_day, _hour, _minute, _second];

/// The longest [Duration], in microseconds: 292,000 years, 285 on the web.
const double _longest = intsAreDoubles ? maxSafeInt + 0.0 : 9.2e18;

/// A date and time (RFC 3339). With an offset it is made UTC; without one it
/// stays without, as local time. Digits beyond microseconds are cut off.
DateTime readDateTime(Object? json) {
  final text = readString(json);
  final match = _dateTime.firstMatch(text);
  if (match == null) throw _unread('a date and time', text);
  int at(int group) => int.parse(match[group] ?? '0');
  final fraction = (match[7] ?? '').padRight(6, '0').substring(0, 6);
  final hasOffset = match[8] != null || match[9] != null;
  final make = hasOffset ? DateTime.utc : DateTime.new;
  final value = make(
    at(1),
    at(2),
    at(3),
    at(4),
    at(5),
    at(6),
    0,
    int.parse(fraction),
  );
  // The constructors carry over: the 31st of February is the 3rd of March.
  final isReal =
      _isDay(at(1), at(2), at(3)) && at(4) < 24 && at(5) < 60 && at(6) < 60;
  if (!isReal || at(10) > 23 || at(11) > 59) {
    throw _unread('a date and time', text);
  }
  final offset = Duration(hours: at(10), minutes: at(11));
  return match[9] == '-' ? value.add(offset) : value.subtract(offset);
}

/// A day, as midnight UTC.
DateTime readDate(Object? json) {
  final text = readString(json);
  final match = text.length == 10 ? _dateTime.firstMatch(text) : null;
  if (match == null) throw _unread('a date', text);
  final [year, month, day] = [for (var i = 1; i < 4; i++) int.parse(match[i]!)];
  if (!_isDay(year, month, day)) throw _unread('a date', text);
  return DateTime.utc(year, month, day);
}

bool _isDay(int year, int month, int day) {
  final made = DateTime.utc(year, month, day);
  return year > 0 && made.month == month && made.day == day;
}

/// A duration as pydantic writes and reads it: ISO 8601, where a year is 365
/// days and a month 30; `3 days, 04:05:06`; seconds as a number.
Duration readDuration(Object? json) {
  if (json is num) return _bounded(json.toDouble() * _second, null);
  final text = readString(json);
  final iso = _iso.firstMatch(text);
  final match = iso ?? _clock.firstMatch(text);
  if (match == null) throw _unread('a duration', text);
  final units = iso == null ? _clockUnits : _isoUnits;
  var rough = 0.0, exact = 0;
  for (final (index, unit) in units.indexed) {
    final amount = match[index + 2]?.replaceFirst(',', '.');
    if (amount == null) continue;
    final point = amount.indexOf('.');
    final whole = point < 0 ? amount : amount.substring(0, point);
    rough += double.parse(amount) * unit;
    exact += int.parse(whole) * unit; // counts where rough is in bounds
    if (point >= 0) {
      exact += (double.parse('0${amount.substring(point)}') * unit).round();
    }
  }
  return _bounded(rough, exact) * (match[1] == '-' ? -1 : 1);
}

Duration _bounded(double rough, int? exact) {
  if (!(rough.abs() <= _longest)) {
    throw const DecodeException('is a longer duration than Duration can hold');
  }
  return Duration(microseconds: exact ?? rough.round());
}

/// A date and time for JSON: with a `Z` where it is UTC.
String writeDateTime(DateTime value) {
  final micros = value.millisecond * 1000 + value.microsecond;
  final time = [
    for (final part in [value.hour, value.minute, value.second]) _two(part),
  ].join(':');
  final fraction = micros == 0 ? '' : '.${'$micros'.padLeft(6, '0')}';
  return '${writeDate(value)}T$time$fraction${value.isUtc ? 'Z' : ''}';
}

/// A day for JSON: `2026-01-31`.
String writeDate(DateTime value) {
  if (value.year < 1 || value.year > 9999) {
    throw ArgumentError.value(value, 'value', 'its year is not in 1 to 9999');
  }
  final year = '${value.year}'.padLeft(4, '0');
  return '$year-${_two(value.month)}-${_two(value.day)}';
}

/// A duration for JSON: `PT1.5S`.
String writeDuration(Duration value) {
  // remainder() and abs() of the parts: the shortest Duration has no abs().
  final micros = value.inMicroseconds;
  int part(int unit, [int? above]) =>
      ((above == null ? micros : micros.remainder(above)) ~/ unit).abs();
  final days = part(_day);
  final fraction = '${part(1, _second)}'
      .padLeft(6, '0')
      .replaceFirst(RegExp(r'0+$'), '');
  final seconds = part(_second, _minute);
  final date = [
    if (days >= 365) '${days ~/ 365}Y',
    if (days % 365 > 0) '${days % 365}D',
  ];
  final time = [
    if (part(_hour, _day) case final hours when hours > 0) '${hours}H',
    if (part(_minute, _hour) case final minutes when minutes > 0) '${minutes}M',
    if (seconds > 0 || fraction.isNotEmpty)
      '$seconds${fraction.isEmpty ? '' : '.$fraction'}S',
  ];
  if (micros == 0) return 'PT0S';
  return [
    micros < 0 ? '-P' : 'P',
    ...date,
    if (time.isNotEmpty) 'T',
    ...time,
  ].join();
}

String _two(int value) => '$value'.padLeft(2, '0');

DecodeException _unread(String what, String text) => DecodeException(
  text.length > 60 ? 'is not $what' : 'is not $what but "$text"',
);
