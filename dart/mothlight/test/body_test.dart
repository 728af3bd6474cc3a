/// Messages as requests carry them.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:typed_data';

import 'package:mothlight/generated.dart';
import 'package:mothlight/src/body.dart';
import 'package:mothlight/testing.dart';

import 'harness.dart';

Method<Object?, Object?> _method({
  String verb = 'POST',
  List<FormField>? form,
  String? parameter,
}) => Method(
  contract: const ServiceContract(name: 'S', hash: '', command: ''),
  name: 'm',
  cardinality: Cardinality.unary,
  verb: verb,
  path: '/m',
  encode: (message) => message,
  decode: readAny,
  form: form,
  parameter: parameter,
);

Future<Uint8List> _bytes(RequestBody body) async =>
    Uint8List.fromList([await for (final chunk in body.open()!) ...chunk]);

Future<Object?> _json(RequestBody body) async {
  equal(body.contentType, 'application/json');
  return jsonDecode(utf8.decode(await _bytes(body)));
}

/// The body of a form, `B` standing for its boundary.
Future<String> _form(RequestBody body) async {
  final [type, boundary] = body.contentType!.split('; boundary=');
  equal(type, 'multipart/form-data');
  check(RegExp(r'^[0-9a-f]{32}$').hasMatch(boundary));
  final bytes = await _bytes(body);
  equal(bytes.length, body.contentLength);
  return utf8.decode(bytes).replaceAll(boundary, 'B').replaceAll('\r\n', '\n');
}

final FileData _file = FileData.bytes(
  utf8.encode('abc'),
  name: 'a.txt',
  mediaType: 'text/plain',
);

FileData _odd(List<int> chunks, int length) => FileData(
  name: 'odd',
  length: length,
  open: () => Stream.fromIterable(chunks.map(Uint8List.new)),
);

const List<FormField> _fields = [
  FormField('image', FormKind.file),
  FormField('top_k', FormKind.text),
  FormField('note', FormKind.text, nullIsAbsent: true),
  FormField('size', FormKind.text, nullIsEmpty: true),
  FormField('tags', FormKind.text, isList: true, emptyIsAbsent: true),
  FormField('names', FormKind.text, isList: true),
  FormField('box', FormKind.json),
  FormField('title', FormKind.text),
];

void main() {
  final method = _method(form: _fields);

  test('without files it is JSON', () async {
    final message = {'text': 'ü', 'n': 1.5, 'none': null};
    final body = await encodeBody(_method(), message);
    equal(await _json(body), message);
    equal(body.contentLength, (await _bytes(body)).length);
    equal(body.query, '');
    equal(await _json(await encodeBody(method, {'top_k': 3})), {'top_k': 3});
    equal(await _json(await encodeBody(_method(), null)), null);
  });

  test('nothing is nothing', () async {
    final body = await encodeBody(_method(), absent);
    equal((body.contentType, body.query, body.contentLength), (null, '', 0));
    equal(body.open(), null);
  });

  test('a query has texts, lists, and JSON', () async {
    const form = [
      FormField('a b', FormKind.text),
      FormField('x', FormKind.text, isList: true, emptyIsAbsent: true),
      FormField('o', FormKind.json),
      FormField('n', FormKind.text, nullIsAbsent: true),
    ];
    final body = await encodeBody(_method(verb: 'GET', form: form), {
      'a b': 'ü &=+%',
      'x': [1, 2.5, true],
      'o': {
        'k': [1],
      },
      'n': null,
    });
    equal(
      body.query,
      'a+b=%C3%BC+%26%3D%2B%25&x=1&x=2.5&x=true&o=%7B%22k%22%3A%5B1%5D%7D',
    );
    equal(body.contentType, null);
    final bare = _method(
      verb: 'GET',
      parameter: 'count',
      form: const [FormField('count', FormKind.text)],
    );
    equal((await encodeBody(bare, 20)).query, 'count=20');
    equal((await encodeBody(bare, absent)).query, '');
    equal((await encodeBody(_method(verb: 'DELETE'), absent)).query, '');
  });

  test('what a query cannot say is not sent as something else', () async {
    const form = [
      FormField('labels', FormKind.text, isList: true),
      FormField('tags', FormKind.text, isList: true, emptyIsAbsent: true),
      FormField('text', FormKind.text),
      FormField('order', FormKind.text, nullIsEmpty: true),
      FormField('note', FormKind.text, nullIsAbsent: true),
    ];
    for (final verb in ['GET', 'DELETE']) {
      final method = _method(verb: verb, form: form);
      for (final (message, unsaid) in [
        ({'labels': <String>[], 'tags': <String>[]}, '{"labels":[]}'),
        ({'labels': null}, '{"labels":null}'),
        ({'text': null, 'note': null}, '{"text":null}'),
        ({'order': ''}, '{"order":""}'), // it would be null
        ({'labels': <int>[], 'text': null}, '{"labels":[],"text":null}'),
      ]) {
        final error = await throws<ArgumentError>(
          () => encodeBody(method, message),
        );
        check('$error'.contains('a query cannot say $unsaid: '), '$error');
        check('$error'.contains('a POST can'), '$error');
      }
      final said = await encodeBody(method, {
        'labels': [''],
        'tags': <String>[],
        'text': '',
        'order': null,
        'note': null,
      });
      equal(said.query, 'labels=&text=&order=');
      final bare = _method(
        verb: verb,
        parameter: 'text',
        form: const [FormField('text', FormKind.text)],
      );
      await throws<ArgumentError>(() => encodeBody(bare, null));
    }
  });

  test('a call that a query cannot say ends before it is sent', () async {
    final adapter = ScriptedAdapter([]);
    final transport = Transport(Uri.parse('http://test'), adapter: adapter);
    final method = _method(
      verb: 'GET',
      form: const [FormField('labels', FormKind.text, isList: true)],
    );
    final message = {'labels': <String>[]};
    await throws<ArgumentError>(() => transport.unary(method, message));
    await throws<ArgumentError>(() => transport.begin(method, message));
    await throws<ArgumentError>(
      () => transport.serverStream(method, message).toList(),
    );
    equal(adapter.requests, <Object>[]);
    transport.close();
  });

  test('files are parts, and the other fields too', () async {
    final body = await encodeBody(method, {
      'image': _file,
      'top_k': 3,
      'note': null,
      'size': null,
      'tags': <String>[],
      'names': ['x', 'y'],
      'box': {'k': 1},
      'title': 'Größe',
    });
    equal(await _form(body), '''
--B
content-disposition: form-data; name="image"; filename="a.txt"
content-type: text/plain

abc
--B
content-disposition: form-data; name="top_k"

3
--B
content-disposition: form-data; name="size"


--B
content-disposition: form-data; name="names"

x
--B
content-disposition: form-data; name="names"

y
--B
content-disposition: form-data; name="box"

{"k":1}
--B
content-disposition: form-data; name="title"

Größe
--B--
''');
  });

  test('a message that is a file is one part', () async {
    final bare = _method(
      parameter: 'clip',
      form: const [FormField('clip', FormKind.file)],
    );
    final odd = FileData.bytes(
      Uint8List(0),
      name: '"ü"\r\nx: y',
      mediaType: 'text/plain\r\nx: y',
    );
    equal(await _form(await encodeBody(bare, odd)), '''
--B
content-disposition: form-data; name="clip"; filename="%22ü%22%0D%0Ax: y"
content-type: application/octet-stream


--B--
''');
    final unnamed = FileData.bytes(Uint8List(0), name: '');
    check(
      (await _form(
        await encodeBody(bare, unnamed),
      )).contains('"clip"; filename="clip"'),
    );
  });

  test('what a form cannot say goes as JSON, files as base64', () async {
    Future<void> isJson(Map<String, Object?> extra, [Object? expected]) async {
      final body = await encodeBody(method, {'image': _file, ...extra});
      equal(await _json(body), {
        'image': 'YWJj',
        ...(expected ?? extra) as Map,
      });
    }

    await isJson({'names': <String>[]});
    await isJson({'title': null});
    await isJson(
      {
        'box': {
          'f': [_file],
        },
      },
      {
        'box': {
          'f': ['YWJj'],
        },
      },
    );
    final many = [for (var i = 0; i < maxParts; i++) 'x$i'];
    await isJson({'names': many});
    final fits = await encodeBody(method, {
      'image': _file,
      'names': many.skip(1).toList(),
    });
    check(fits.contentType!.startsWith('multipart/'));
    equal(await _json(await encodeBody(_method(), {'f': _file})), {
      'f': 'YWJj',
    });
  });

  test('the length is that of the files, whatever their chunks', () async {
    final body = await encodeBody(method, {
      'image': _odd([0, 1, 200000, 3], 200004),
    });
    final chunks = await body.open()!.toList();
    check(chunks.every((chunk) => chunk.length <= 65536 && chunk.isNotEmpty));
    equal(
      chunks.fold<int>(0, (sum, chunk) => sum + chunk.length),
      body.contentLength,
    );
    equal(await _bytes(body), await _bytes(body)); // it can be sent again
  });

  test('a file of another length is an error in the stream', () async {
    for (final (chunks, length) in [
      ([3], 4),
      ([3], 2),
      (<int>[], 1),
    ]) {
      final body = await encodeBody(method, {'image': _odd(chunks, length)});
      final error = await throws<StateError>(() => _bytes(body));
      check(error.message.contains('should have $length bytes'));
      final nested = _method();
      await throws<StateError>(
        () => encodeBody(nested, {'f': _odd(chunks, length)}),
      );
    }
  });

  test("a file's own error is an error in the stream", () async {
    final file = FileData(
      name: 'gone',
      length: 3,
      open: () => Stream.error(const FormatException('gone')),
    );
    final body = await encodeBody(method, {'image': file});
    await throws<FormatException>(() => _bytes(body));
  });

  test('progress counts what is taken, and begins anew', () async {
    final body = await encodeBody(method, {
      'image': FileData.bytes(Uint8List(200000)),
      'title': 'x',
    });
    for (var i = 0; i < 2; i++) {
      final told = <int>[];
      await body
          .open(
            onProgress: (sent, total) {
              equal(total, body.contentLength);
              told.add(sent);
            },
          )!
          .drain<void>();
      check(told.length >= 6, '$told');
      equal(told.last, body.contentLength);
      for (final (index, sent) in told.skip(1).indexed) {
        check(sent > told[index] && sent - told[index] <= 65536);
      }
    }
  });

  test('nothing is taken while nobody takes', () async {
    // One piece in memory, one huge chunk of a stream: neither is counted
    // before it is taken.
    for (final file in [
      FileData.bytes(Uint8List(1 << 20)),
      _odd([1 << 20], 1 << 20),
    ]) {
      final body = await encodeBody(method, {'image': file});
      var told = 0, got = 0;
      final done = Completer<void>();
      late final StreamSubscription<List<int>> taking;
      taking = body.open(onProgress: (sent, _) => told = sent)!.listen((chunk) {
        got += chunk.length;
        equal(got - told, chunk.length, 'told of what was not taken');
        taking.pause(Future<void>.delayed(Duration.zero));
      }, onDone: done.complete);
      await done.future;
      equal((got, told), (body.contentLength, body.contentLength));
    }
  });

  test('to cancel a body cancels the reading of its file', () async {
    final cancelled = Completer<void>();
    final source = StreamController<List<int>>(onCancel: cancelled.complete);
    final file = FileData(name: 'f', length: 10, open: () => source.stream);
    final body = await encodeBody(method, {'image': file});
    source.add([1]);
    final got = <int>[];
    final second = Completer<void>();
    final taking = body.open()!.listen((chunk) {
      got.add(chunk.length);
      if (chunk.length == 1) second.complete();
    });
    await second.future;
    await taking.cancel();
    await cancelled.future;
    equal(got.length, 2);
  });

  test('a frame is JSON, or the bytes of a file', () async {
    equal(await encodeFrame(_method(), {'f': _file}), '{"f":"YWJj"}');
    equal(await encodeFrame(_method(), 3), '3');
    final frame = await encodeFrame(_method(), _file);
    check(frame is Uint8List);
    equal(frame, utf8.encode('abc'));
  });

  run();
}
