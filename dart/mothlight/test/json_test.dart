/// JSON values as messages have them.
library;

import 'dart:convert';
import 'dart:typed_data';

import 'package:mothlight/generated.dart';

import 'harness.dart';

DecodeException _misfit(Object? Function() read) {
  try {
    final value = read();
    throw Failure('DecodeException was not thrown, but there is $value');
  } on DecodeException catch (error) {
    return error;
  }
}

void main() {
  test('a field that is there equals another by what it holds', () {
    check(Optional.of([1, 2]) == Optional.of([1, 2]));
    check(Optional.of([1, 2]).hashCode == Optional.of([1, 2]).hashCode);
    check(Optional.of([1, 2]) != Optional.of([2, 1]));
    check(const Optional<int>.absent() == const Optional<int>.absent());
    check(const Optional<int?>.absent() != const Optional<int?>.of(null));
  });

  test('a float may be an integer, or a word', () {
    equal(readFloat(jsonDecode('1')), 1.0);
    equal('${readFloat(1)}', '1.0');
    equal(readFloat(1.5), 1.5);
    check(readFloat('NaN').isNaN);
    equal(readFloat('Infinity'), double.infinity);
    equal(readFloat('-Infinity'), double.negativeInfinity);
    for (final wrong in ['1', 'nan', null, true, <Object?>[]]) {
      _misfit(() => readFloat(wrong));
    }
    equal(writeFloat(1.5), 1.5);
    equal(jsonEncode(writeFloat(double.nan)), '"NaN"');
    equal(writeFloat(double.infinity), 'Infinity');
    equal(writeFloat(double.negativeInfinity), '-Infinity');
  });

  test('an integer is whole, and never another one', () {
    equal(readInt(jsonDecode('9223372036854775807')), 9223372036854775807);
    equal(readInt(jsonDecode('-9223372036854775808')), -9223372036854775808);
    equal(readInt(jsonDecode('1.0')), 1);
    equal(readInt(jsonDecode('1e3')), 1000);
    equal(readInt(jsonDecode('-0.0')), 0);
    equal(readInt(9007199254740991.0), 9007199254740991);
    // The parser has made doubles of these, and lost bits.
    for (final large in [
      '9223372036854775808',
      '9007199254740993.0',
      '1e300',
    ]) {
      check(_misfit(() => readInt(jsonDecode(large))).hint != null, large);
    }
    for (final wrong in [1.5, double.nan, double.infinity, '3', true, null]) {
      _misfit(() => readInt(wrong));
    }
  });

  test('strings and booleans are nothing else', () {
    equal(readString('ü'), 'ü');
    equal(readBool(false), false);
    for (final wrong in [1, null, <Object?>[], <String, Object?>{}]) {
      _misfit(() => readString(wrong));
      _misfit(() => readBool(wrong));
    }
    equal(readAny(null), null);
    readNothing('something');
  });

  test('bytes are base64 of either alphabet, with or without padding', () {
    final bytes = [0xfb, 0xff, 0xfe, 0x01];
    for (final text in ['+//+AQ==', '-__-AQ==', '+//+AQ', '-__-AQ']) {
      equal(readBytes(text), bytes, text);
    }
    equal(readBytes(''), <int>[]);
    equal(writeBytes(Uint8List.fromList(bytes)), '+//+AQ==');
    for (final wrong in ['a', 'a===', 'ab!d', 'ab cd', '====', 3]) {
      _misfit(() => readBytes(wrong));
    }
  });

  test('files are base64, or stand for themselves', () async {
    final file = FileData.bytes(Uint8List(3));
    check(identical(readFile(file), file));
    equal(await readFile('AAEC').read(), [0, 1, 2]);
    _misfit(() => readFile(3));
  });

  test('an error says where', () {
    final read = listOf(
      (json) => JsonMap.of(json, 'Item').read('a', readFloat),
    );
    final json = jsonDecode('{"items": [{"a": 1}, {"a": "x"}]}');
    final map = JsonMap.of(json, 'Answer');
    final error = _misfit(() => map.read('items', read));
    equal(error.path, 'items[1].a');
    equal(error.message, 'is not a number but a string');
    equal(_misfit(() => map.read('other', readInt)).path, 'other');
    // Null is a value, and what is not there is none.
    equal(_misfit(() => map.read('other', nullable(readInt))).path, 'other');
    equal(_misfit(() => JsonMap.of([], 'Answer')).path, '');
    check(_misfit(() => JsonMap.of([], 'X')).message.contains('an object (X)'));
    equal(
      _misfit(
        () => mapOf(listOf(readInt))({
          'k': [1, null],
        }),
      ).path,
      'k[1]',
    );
    equal(
      _misfit(
        () => listOf(listOf(readInt))([
          [1],
          ['a'],
        ]),
      ).path,
      '[1][0]',
    );
  });

  test('a member is there, null, or absent', () {
    const map = JsonMap({'null': null, 'one': 1});
    equal(map.read('null', nullable(readInt)), null);
    equal(map.read('one', nullable(readInt)), 1);
    equal(_misfit(() => map.read('null', readInt)).path, 'null');
    equal(map.readOr('two', readInt, 2), 2);
    equal(map.readOr('one', readInt, 2), 1);
    equal(map.readOr('null', nullable(readInt), 2), null);
    _misfit(() => map.readOr('null', readInt, 2));
  });

  test('lists and maps cannot be changed', () async {
    final List<int> list = listOf(readInt)([1, 2.0]);
    equal(list, [1, 2]);
    await throws<UnsupportedError>(() => list.add(3));
    await throws<UnsupportedError>(() => list[0] = 3);
    final Map<String, double> map = mapOf(readFloat)({'a': 1});
    equal(map, {'a': 1.0});
    await throws<UnsupportedError>(() => map['b'] = 3);
    _misfit(() => listOf(readInt)({'a': 1}));
    _misfit(() => mapOf(readInt)([1]));
  });

  test('dates and times with an offset are UTC', () {
    final utc = DateTime.utc(2026, 1, 31, 1, 2, 3);
    for (final text in [
      '2026-01-31T01:02:03Z',
      '2026-01-31 01:02:03z',
      '2026-01-31T06:32:03+05:30',
      '2026-01-30T20:02:03-0500',
    ]) {
      equal(readDateTime(text), utc, text);
      check(readDateTime(text).isUtc, text);
    }
    equal(
      readDateTime('2026-01-31T01:02:03.123456789Z'),
      utc.add(const Duration(microseconds: 123456)),
    );
    equal(readDateTime('2026-01-31T01:02Z'), DateTime.utc(2026, 1, 31, 1, 2));
    equal(readDateTime('0001-01-01T00:00:00Z'), DateTime.utc(1));
  });

  test('dates and times without an offset are local', () {
    final local = DateTime(2026, 1, 31, 1, 2, 3, 0, 4);
    equal(readDateTime('2026-01-31T01:02:03.000004'), local);
    check(!readDateTime('2026-01-31T01:02:03').isUtc);
    equal(readDateTime('2026-01-31'), DateTime(2026, 1, 31));
  });

  test('what is no date is refused', () {
    for (final wrong in [
      '2026-02-31T01:02:03Z',
      '2026-13-01T00:00:00',
      '0000-01-01T00:00:00',
      '2026-01-31T24:00:00',
      '2026-01-31T23:60:00',
      '2026-01-31T23:59:60Z',
      '2026-01-31T01:02:03+24:00',
      '2026-1-31',
      '20260131T010203',
      '2026-01-31T01:02:03Zx',
      '',
      1700000000,
    ]) {
      _misfit(() => readDateTime(wrong));
      _misfit(() => readDate(wrong));
    }
    _misfit(() => readDate('2026-01-31T00:00:00'));
    check(_misfit(() => readDateTime('x' * 1000)).message.length < 100);
  });

  test('dates and times are written as they are read', () async {
    for (final text in [
      '2026-01-31T01:02:03Z',
      '2026-01-31T01:02:03.000004Z',
      '2026-01-31T01:02:03.400000',
      '0001-01-01T00:00:00',
      '9999-12-31T23:59:59.999999Z',
    ]) {
      equal(writeDateTime(readDateTime(text)), text);
    }
    final day = readDate('2024-02-29');
    equal(day, DateTime.utc(2024, 2, 29));
    equal(writeDate(day), '2024-02-29');
    equal(writeDate(DateTime(2026, 1, 2, 23)), '2026-01-02');
    await throws<ArgumentError>(() => writeDate(DateTime.utc(10000)));
  });

  // What pydantic 2 makes of each, in microseconds.
  const durations = {
    'PT1.5S': 1500000,
    '-PT1.5S': -1500000,
    '+P1D': 86400000000,
    'P1Y2M3DT4H5M6.789S': 428 * 86400000000 + 14706789000,
    'P1W': 7 * 86400000000,
    'P1W2D': 9 * 86400000000,
    'P1YT': 365 * 86400000000,
    'P2M': 60 * 86400000000,
    'P1.5D': 129600000000,
    'PT1,5S': 1500000,
    'PT1.5M': 90000000,
    'PT36H': 129600000000,
    '-P1DT1S': -86401000000,
    'PT0.0000019S': 2,
    'PT0.1234567S': 123457,
    '1 day, 01:02:03': 90123000000,
    '-1 days, 01:02:03': -90123000000,
    '1d 01:02:03': 90123000000,
    '01:02:03.5': 3723500000,
    '-01:02:03': -3723000000,
    '01:02': 3720000000,
    '-P1Y34DT23H59M59S': -(400 * 86400000000 - 1000000),
  };

  test('durations are read as pydantic reads them', () {
    for (final MapEntry(:key, :value) in durations.entries) {
      equal(readDuration(key).inMicroseconds, value, key);
    }
    equal(readDuration(3), const Duration(seconds: 3));
    equal(readDuration(-1.5), const Duration(milliseconds: -1500));
    for (final wrong in [
      'P',
      'PT',
      '1.5',
      'P1DT-1S',
      'p1d',
      'PT.5S',
      '1 01:02:03',
      '',
      true,
      'P1D1Y',
      'P1H',
      double.nan,
      double.infinity,
      1e300,
      'P999999999999999Y',
      'P2739726Y9DT23H59M59.999999S',
    ]) {
      _misfit(() => readDuration(wrong));
    }
  });

  // What pydantic 2 writes.
  const written = {
    0: 'PT0S',
    1500000: 'PT1.5S',
    -1500000: '-PT1.5S',
    86400000000: 'P1D',
    365 * 86400000000: 'P1Y',
    400 * 86400000000 + 3601000000: 'P1Y35DT1H1S',
    -86400000000: '-P1D',
    -(400 * 86400000000 - 1000000): '-P1Y34DT23H59M59S',
    1: 'PT0.000001S',
    -1: '-PT0.000001S',
    5400000000: 'PT1H30M',
    100000500000: 'P1DT3H46M40.5S',
  };

  test('durations are written as pydantic writes them', () {
    for (final MapEntry(:key, :value) in written.entries) {
      equal(writeDuration(Duration(microseconds: key)), value);
      equal(readDuration(value).inMicroseconds, key, value);
    }
    const shortest = Duration(microseconds: -9223372036854775808);
    equal(writeDuration(shortest), '-P292471Y76DT4H54.775808S');
  });

  test('values are compared and hashed item by item', () {
    final a = {
      'x': [
        1,
        double.nan,
        {'y': null},
      ],
      'z': Uint8List.fromList([1, 2]),
    };
    final b = {
      'z': [1, 2],
      'x': [
        1.0,
        double.nan,
        {'y': null},
      ],
    };
    check(deepEquals(a, b));
    equal(deepHash(a), deepHash(b));
    check(!deepEquals(a, {...b, 'w': 1}));
    check(!deepEquals({'a': null}, {'b': null}));
    check(!deepEquals([1], [1, 2]));
    check(!deepEquals([1], {0: 1}));
    check(!deepEquals(double.nan, 1.0));
    check(deepEquals(0.0, -0.0) && deepHash(0.0) == deepHash(-0.0));
    check(deepHash([1, 2]) != deepHash([2, 1]));
  });

  run();
}
