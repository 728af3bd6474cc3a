/// Files.
library;

import 'dart:typed_data';

import 'package:mothlight/mothlight.dart';

import 'harness.dart';

FileData _streamed(List<List<int>> chunks, int length) => FileData(
  name: 'a.bin',
  length: length,
  open: () => Stream.fromIterable(chunks),
);

void main() {
  test(
    'bytes come in chunks of 64 kB, as often as they are asked for',
    () async {
      final bytes = Uint8List.fromList([
        for (var i = 0; i < 150000; i++) i % 251,
      ]);
      final file = FileData.bytes(bytes, name: 'x.png', mediaType: 'image/png');
      equal(
        (file.name, file.length, file.mediaType),
        ('x.png', 150000, 'image/png'),
      );
      for (var i = 0; i < 2; i++) {
        final chunks = await file.open().toList();
        equal(
          [for (final chunk in chunks) chunk.length],
          [65536, 65536, 18928],
        );
        equal([for (final chunk in chunks) ...chunk], bytes);
      }
      check(identical(await file.read(), bytes));
      equal(await FileData.bytes(Uint8List(0)).open().toList(), <Object>[]);
    },
  );

  test('a stream is read whole, and again', () async {
    final file = _streamed([
      [1, 2],
      [],
      [3],
    ], 3);
    equal(await file.read(), [1, 2, 3]);
    equal(await file.read(), [1, 2, 3]);
    equal(await _streamed([], 0).read(), <int>[]);
  });

  test('a file that has another length than it says is refused', () async {
    final short = await throws<StateError>(
      _streamed([
        [1],
      ], 2).read,
    );
    equal(short.message, 'the file "a.bin" should have 2 bytes and has only 1');
    final long = await throws<StateError>(
      _streamed([
        [1],
        [2, 3],
      ], 2).read,
    );
    equal(long.message, 'the file "a.bin" should have 2 bytes and has more');
    await throws<RangeError>(() => _streamed([], -1));
  });

  test('a file that is too long is not read to its end', () async {
    var taken = 0;
    final file = FileData(
      name: 'endless',
      length: 10,
      open:
          () => Stream.periodic(Duration.zero, (i) {
            taken++;
            return [i];
          }),
    );
    await throws<StateError>(file.read);
    check(taken < 20, 'took $taken');
  });

  run();
}
