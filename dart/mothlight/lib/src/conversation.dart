import 'dart:typed_data';

import 'answer.dart';
import 'errors.dart';
import 'exchange.dart';
import 'file.dart';
import 'outbox.dart';

/// What the protocol is called, and what a browser says who calls with.
const String _protocol = 'mothlight.v1', _bearer = 'mothlight.bearer.';

/// What no subprotocol has: it is a token of HTTP (RFC 6455, 4.1).
final RegExp _illegal = RegExp(r"[^!#$%&'*+\-.^_`|~0-9A-Za-z]");

final RegExp _control = RegExp(r'^\s*\{\s*"(end|error|received|call)"\s*:');

/// One call over WebSockets without its I/O, for methods that take a stream.
///
/// ```text
/// client ─ message, …, {"end": true} ──────────────────────────> server
///        <─ {"call": id, "received": n}, item, …, {"end": true} | {"error"} ─
/// lost: again with the same key, with the messages after n, for the items
/// after the last one
/// ```
final class Conversation<O> {
  /// What the frames of [exchange]'s sockets mean.
  Conversation(this.exchange);

  /// The call.
  final Exchange<O> exchange;

  /// The messages that the server does not have yet.
  final Outbox outbox = Outbox();

  /// Whether the last item has come.
  bool get isEnded => _isEnded;
  bool _isEnded = false;

  // Connecting

  /// The next connection: its address, its protocols and its headers. What a
  /// browser cannot send as a header goes elsewhere ([withHeaders] is false).
  /// Throws [CallTimeoutException] where no time is left, and
  /// [UnauthenticatedException] where a browser cannot send [token].
  (Uri, List<String>, Map<String, String>) connection(
    String? token, {
    required bool withHeaders,
  }) {
    final url = exchange.url;
    final address = url.replace(scheme: url.scheme == 'https' ? 'wss' : 'ws');
    final own = exchange.headers(token);
    final caller = withHeaders ? null : _caller(own['authorization']);
    final headers = {
      ...own,
      ...exchange.begin(),
      if (exchange.received > 0) 'last-event-id': '${exchange.received}',
    };
    exchange.attempts++;
    if (withHeaders) return (address, const [_protocol], headers);
    return (
      address.replace(
        queryParameters: {
          for (final (name, header) in const [
            ('key', 'idempotency-key'),
            ('after', 'last-event-id'),
            ('supersede', 'supersede-key'),
            ('timeout', 'request-timeout'),
            ('priority', 'priority'),
          ])
            if (headers[header] case final value?) name: value,
        },
      ),
      [_protocol, if (caller != null) caller],
      const {},
    );
  }

  /// The subprotocol that says who calls.
  String? _caller(String? authorization) {
    if (authorization == null || !authorization.startsWith('Bearer ')) {
      return null;
    }
    final token = authorization.substring(7);
    final illegal = _illegal.stringMatch(token);
    if (illegal == null) return '$_bearer$token';
    throw UnauthenticatedException(
      Problem(
        type: 'Unauthenticated',
        code: Code.unauthenticated,
        status: 401,
        detail: 'a browser cannot send a token with "$illegal" by WebSocket',
        fields: const {},
        callId: exchange.id,
      ),
      hint:
          'give a token of letters, digits, "-", "_" and ".", as a JWT is '
          '(base64url without padding)',
    );
  }

  // What is said

  /// The first frame of a connection. Throws the call's exception.
  void greet(Object frame) {
    final found = _read(frame);
    if (found == null || !found.containsKey('call')) {
      if (found != null) _told(found);
      throw exchange.unexpected(
        'this is not the greeting of a Mothlight server',
      );
    }
    final count = found['received'];
    if (exchange.isOpen && count is int && count < outbox.confirmed) {
      throw exchange.forgotten();
    }
    _received(count ?? 0, outbox.rewind);
    exchange
      ..isOpen = true
      ..isRenewed = false;
  }

  /// The items (one or none) that a frame is. Throws the exception that the
  /// call ended with.
  Iterable<O> take(Object frame) {
    final found = _read(frame);
    if (found != null && _told(found)) return const [];
    if (sizeOf(frame) > exchange.maxAnswer) {
      throw exchange.cut('an item is longer than ${exchange.maxAnswer} bytes');
    }
    final item = switch (frame) {
      final String text => exchange.decodeText(text),
      final Uint8List bytes when exchange.method.isFile => exchange.decode(
        FileData.bytes(bytes),
      ),
      _ => throw exchange.unexpected('a file came where none is due'),
    };
    exchange
      ..received += 1
      ..patience.progress();
    return [item];
  }

  /// What a frame of control has; null for an item.
  Map<String, Object?>? _read(Object frame) {
    if (frame is! String || !_control.hasMatch(frame)) return null;
    final found = objectOf(frame);
    if (found == null) return null;
    final isGreeting =
        found.length == 2 &&
        found.containsKey('call') &&
        found.containsKey('received');
    return found.length == 1 || isGreeting ? found : null;
  }

  /// Whether [found] was for us to know.
  bool _told(Map<String, Object?> found) {
    switch (found) {
      case {'end': true}:
        _isEnded = true;
        exchange.over();
      case {'error': final Map<String, Object?> problem}:
        exchange.over();
        throw exchange.error(problem);
      case {'received': final int count}:
        _received(count, outbox.confirm);
      default:
        return false;
    }
    return true;
  }

  void _received(Object count, bool Function(int count) confirm) {
    final before = outbox.confirmed;
    if (count is! int || !confirm(count)) {
      throw exchange.unexpected(
        'the server says that it has $count messages, of $before '
        'to ${outbox.count}',
      );
    }
    if (outbox.confirmed > before) exchange.patience.progress();
  }

  // What came of it

  /// The connection was closed with [code] (null: it was lost), or failed
  /// with [error]: the pause until the next. Throws the call's exception.
  Duration lost({int? code, Object? error}) => switch (code) {
    1007 || 1008 => throw exchange.cut('the server refused a frame ($code)'),
    1009 => throw exchange.cut('a message or an item is too long'),
    _ => exchange.lost(error),
  };
}
