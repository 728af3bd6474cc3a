/// Forms with files, against a live server.
///
///     dart mailroom_test.dart URL
library;

import 'dart:convert';
import 'dart:typed_data';

import 'package:mailroom_api/mailroom_api.dart';
import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';

import '../../../dart/mothlight/test/harness.dart';

FileData _letter(String text, String name) =>
    FileData.bytes(utf8.encode(text), name: name);

String _shown(Seen seen) => '${seen.name}: ${utf8.decode(seen.data)}';

Future<void> main(List<String> arguments) async {
  final transport = Transport(
    Uri.parse(arguments.single),
    adapter: IoAdapter(),
  );
  final api = MailroomClient(transport);

  test('a list of files, and files inside of messages', () async {
    final found = await api.open(
      Bundle(
        letters: [_letter('one', 'one.txt'), _letter('', 'two.txt')],
        cover: _letter('cover', 'cover.bin'),
        sheets: [Sheet(scan: _letter('inner', 'lost.bin'), caption: 'a "b"')],
        extras: {'é🦋': _letter('extra', 'lost.bin')},
        note: 'line\r\nline; name="x"',
      ),
    );
    // With a file inside of a message all of it is JSON, which has no names.
    equal([...found['letters']!.map(_shown)], ['null: one', 'null: ']);
    equal(_shown(found['cover']!.single), 'null: cover');
    equal(utf8.decode(found['sheets']!.single.data), 'inner');
    equal(utf8.decode(found['extras']!.single.data), 'extra');
    equal(
      [...found['words']!.map((word) => word.name)],
      ['line\r\nline; name="x"', 'é🦋', 'a "b"'],
    );
  });
  test('files beside fields', () async {
    final found = await api.open(
      Bundle(
        letters: [_letter('one', 'one.txt'), _letter('', 'two.txt')],
        cover: _letter('cover', 'cover.bin'),
        note: 'line\r\nline; name="x"',
      ),
    );
    equal([...found['letters']!.map(_shown)], ['one.txt: one', 'two.txt: ']);
    equal(_shown(found['cover']!.single), 'cover.bin: cover');
    equal(found['words']!.single.name, 'line\r\nline; name="x"');
  });
  test('what may be left out', () async {
    final found = await api.open(Bundle(letters: [_letter('only', 'a')]));
    equal([...found['letters']!.map(_shown)], ['a: only']);
    equal([found['cover'], found['sheets'], found['extras']], [[], [], []]);
  });
  test('no file at all', () async {
    final found = await api.open(Bundle(letters: const []));
    equal(found['letters'], <Seen>[]);
    equal(await api.sort(const Pile()), <Seen>[]);
  });
  test('names of files', () async {
    const names = [
      'plain.txt',
      'a "quoted" one.txt',
      "it's; filename=x.txt",
      'schön 名 🦋.txt',
      '100%.txt',
      'back\\slash.txt',
    ];
    final found = await api.sort(
      Pile(letters: [for (final name in names) _letter(name, name)]),
    );
    equal([...found.map((seen) => utf8.decode(seen.data))], names);
    equal([...found.map((seen) => seen.name)], names);
  });
  test('forty files', () async {
    final letters = [
      for (var i = 0; i < 40; i++)
        FileData.bytes(Uint8List(i * 1000)..fillRange(0, i * 1000, i)),
    ];
    final found = await api.sort(Pile(letters: letters));
    equal(
      [...found.map((seen) => seen.data.length)],
      [for (var i = 0; i < 40; i++) i * 1000],
    );
    check(found.last.data.every((byte) => byte == 39));
  });
  test('a file as the answer', () async {
    final answer = await api.copy(_letter('again', 'a "b" 名.txt'));
    equal(utf8.decode(await answer.read()), 'again');
  });
  await run(limit: const Duration(seconds: 20));
}
