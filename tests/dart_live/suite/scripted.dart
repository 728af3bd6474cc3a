/// A server that answers as a client vector says, and notes what came
/// otherwise.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'match.dart';
import 'wire.dart';

const String _end = '\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';

/// Answers the requests of one vector.
final class Scripted {
  Scripted._(this._server, this._exchanges) {
    _server.listen((socket) => unawaited(_accept(Wire(socket))));
  }

  /// Starts it.
  static Future<Scripted> start(List<Object?> exchanges) async => Scripted._(
    await ServerSocket.bind(InternetAddress.loopbackIPv4, 0),
    exchanges,
  );

  final ServerSocket _server;
  final List<Object?> _exchanges;
  final Names _names = Names();
  final Set<Wire> _wires = {};
  int _served = 0;

  /// What was not as the vector says.
  final List<String> faults = [];

  /// How often it was told that a call is not wanted any more.
  int cancels = 0;

  /// Where it is.
  Uri get url => Uri.parse('http://127.0.0.1:${_server.port}');

  /// Ends it, and everything that it serves.
  Future<void> close() async {
    await _server.close();
    for (final wire in [..._wires]) {
      wire.destroy();
    }
    if (_served < _exchanges.length) {
      faults.add('$_served requests of ${_exchanges.length} came');
    }
  }

  Future<void> _accept(Wire wire) async {
    _wires.add(wire);
    try {
      await _serve(wire);
    } on Mismatch catch (error) {
      faults.add(error.message);
    } on FormatException catch (error) {
      faults.add('$error');
    } on Gone {
      // The client left.
    } finally {
      _wires.remove(wire);
      wire.destroy();
    }
  }

  Future<void> _serve(Wire wire) async {
    final [first, ...lines] = (await wire.until('\r\n\r\n')).split('\r\n');
    final [verb, target, _] = first.split(' ');
    final headers = {
      for (final line in lines)
        line.substring(0, line.indexOf(':')).toLowerCase():
            line.substring(line.indexOf(':') + 1).trim(),
    };
    final body = await _body(wire, headers);
    if (target == '/contract') {
      // A client may ask for it when an answer does not fit.
      await wire.send(ascii.encode('HTTP/1.1 404 None$_end'));
      await wire.close();
      return;
    }
    final isLast = _served >= _exchanges.length;
    final exchange = isLast ? null : asMap(_exchanges[_served]);
    final asked = asMap(exchange?['socket'] ?? exchange?['request'] ?? {});
    if (verb == 'DELETE' && asked['verb'] != 'DELETE') {
      cancels++;
      await wire.send(ascii.encode('HTTP/1.1 204 Done$_end'));
      await wire.close();
      return;
    }
    if (exchange == null) {
      throw Mismatch('one request too many: $verb $target');
    }
    _served++;
    _head(asked, verb, Uri.parse(target), headers);
    if (exchange['script'] case final List<Object?> script) {
      await wire.upgrade(headers['sec-websocket-key'] ?? '');
      await _talk(wire, script);
      return;
    }
    _compare(asked, headers, body);
    await _answer(wire, exchange['response']);
  }

  // What is asked

  void _head(
    Map<String, Object?> asked,
    String verb,
    Uri url,
    Map<String, String> headers,
  ) {
    final due = asked['verb'] ?? 'GET';
    if (verb != due) {
      throw Mismatch('$verb $url came where $due ${asked['path']} was due');
    }
    _names.match(asked['path'], url.path, 'the path');
    final query = asMap(asked['query'] ?? <String, Object?>{});
    if (query.length != url.queryParameters.length) {
      throw Mismatch('the query is ${url.query}, expected is $query');
    }
    has(query, url.queryParameters, 'the query');
    _names.headers(asked['headers'], headers);
  }

  void _compare(
    Map<String, Object?> asked,
    Map<String, String> headers,
    List<int> body,
  ) {
    final type = headers['content-type'] ?? '';
    if (asked.containsKey('json')) {
      if (!type.startsWith('application/json')) {
        throw Mismatch('the body is $type');
      }
      has(asked['json'], jsonDecode(utf8.decode(body)), 'the body');
    }
    if (asked['parts'] case final List<Object?> parts) {
      final absent = asked['absent'] as List<Object?>? ?? const [];
      checkParts(parts, absent, type, body);
    }
  }

  // What is answered

  Future<void> _answer(Wire wire, Object? response) async {
    if (response == null) return;
    final told = asMap(_names.fill(response));
    if (told['status'] case final int status) {
      final chunks = [...pieces(told['chunks']! as List<Object?>)];
      final framing = status == 204 ? 'close' : told['framing'] ?? 'chunked';
      final isChunked = framing == 'chunked';
      final headers = {
        'connection': 'close',
        ...asMap(told['headers']),
        if (isChunked) 'transfer-encoding': 'chunked',
        if (framing == 'length') 'content-length': '${told['length']}',
      };
      await wire.send(
        utf8.encode(
          [
            'HTTP/1.1 $status As Told',
            for (final MapEntry(:key, :value) in headers.entries)
              '$key: $value',
            '\r\n',
          ].join('\r\n'),
        ),
      );
      for (final piece in chunks) {
        if (piece is Duration) {
          await Future<void>.delayed(piece);
          continue;
        }
        final bytes = piece as List<int>;
        await Future<void>.delayed(const Duration(microseconds: 500));
        await wire.send([
          if (isChunked)
            ...ascii.encode('${bytes.length.toRadixString(16)}\r\n'),
          ...bytes,
          if (isChunked) ...[13, 10],
        ]);
      }
      final isCut = told['cut'] == true || told['stay'] == true;
      if (isChunked && !isCut) await wire.send(ascii.encode('0\r\n\r\n'));
    }
    if (told['stay'] == true) {
      await wire.gone();
      return;
    }
    await wire.close();
  }

  Future<void> _talk(Wire wire, List<Object?> script) async {
    for (final step in script) {
      switch (step) {
        case {'send': {'base64': final String text}}:
          await wire.sendFrame(2, base64.decode(text));
        case {'send': final String text}:
          await wire.sendFrame(1, utf8.encode(text));
        case {'send': final Object? value}:
          final text = jsonEncode(_names.fill(value));
          await wire.sendFrame(1, utf8.encode(text));
        case {'receive': final Object? expected}:
          await _expect(wire, expected);
        case {'cut': true}:
          // Half closed: with messages unread it would be reset, and what the
          // client has not read would be lost.
          await wire.close();
          await wire.gone();
          return;
        case {'close': final int code}:
          await wire.sendFrame(8, [code >> 8, code & 0xff]);
          await wire.gone();
          return;
        case {'closed': true}:
          await _untilClosed(wire);
          return;
      }
    }
    await wire.sendFrame(8, [0x03, 0xe8]);
    await wire.gone();
  }

  Future<void> _expect(Wire wire, Object? expected) async {
    while (true) {
      final (kind, payload) = await wire.frame();
      if (kind == 9) await wire.sendFrame(10, payload);
      if (kind == 9 || kind == 10) continue;
      final found =
          kind == 1
              ? jsonDecode(utf8.decode(payload))
              : {'base64': base64.encode(payload)};
      if (kind == 8) throw Mismatch('it was closed before $expected');
      final wanted = _names.fill(expected);
      has(wanted, found, 'the frame');
      has(found, wanted, 'the frame');
      return;
    }
  }

  Future<void> _untilClosed(Wire wire) async {
    while (true) {
      final (kind, payload) = await wire.frame();
      if (kind == 8) return wire.sendFrame(8, payload);
    }
  }
}

Future<List<int>> _body(Wire wire, Map<String, String> headers) async {
  if (!(headers['transfer-encoding'] ?? '').contains('chunked')) {
    return wire.exactly(int.parse(headers['content-length'] ?? '0'));
  }
  final body = <int>[];
  while (true) {
    final size = int.parse(await wire.until('\r\n'), radix: 16);
    body.addAll(await wire.exactly(size));
    await wire.exactly(2);
    if (size == 0) return body;
  }
}
