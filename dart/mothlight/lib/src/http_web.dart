import 'dart:async';
import 'dart:typed_data';

import 'package:http/http.dart' as http;
import 'package:web_socket/web_socket.dart';

import 'http_adapter.dart';

/// Whether [connectSocket] sends headers.
const bool socketsSendHeaders = false;

/// The platform's own client.
http.Client newClient() => http.Client();

/// Whether [client] takes a body as it leaves.
bool clientStreams(http.Client client) => false;

/// Opens the browser's WebSocket. It has no headers: give [headers] as
/// subprotocol or query. It bounds no message ([maxMessage]) by itself.
Future<MessageSocket> connectSocket(
  Uri url,
  List<String> protocols,
  Map<String, String> headers,
  int maxMessage,
  Future<void> abort,
) async {
  final scheme = switch (url.scheme) {
    'http' => 'ws',
    'https' => 'wss',
    final other => other,
  };
  final opening = WebSocket.connect(
    url.replace(scheme: scheme),
    protocols: protocols,
  );
  final WebSocket? socket;
  try {
    socket = await Future.any([opening, abort.then((_) => null)]);
  } on Object catch (error) {
    throw AdapterException(
      error is WebSocketException ? error.message : '$error',
      cause: error,
      // What the constructor throws is about what it was given.
      isPermanent: error is! WebSocketException,
    );
  }
  if (socket == null) {
    unawaited(
      opening.then(
        (opened) => WebSocketFrames(opened).close(),
        onError: (Object _) {},
      ),
    );
    throw AdapterException.aborted;
  }
  return WebSocketFrames(socket);
}

/// A WebSocket of package:web_socket. A browser reads on while it is paused,
/// and tells nobody what has left it.
final class WebSocketFrames implements MessageSocket {
  /// Of an open socket.
  WebSocketFrames(this._socket);

  final WebSocket _socket;

  @override
  int? closeCode;

  @override
  late final Stream<Object> frames =
      _socket.events.map(_frame).where((frame) => frame != null).cast<Object>();

  Object? _frame(WebSocketEvent event) {
    switch (event) {
      case TextDataReceived(:final text):
        return text;
      case BinaryDataReceived(:final data):
        return data;
      case CloseReceived(:final code):
        if (code != 1006) closeCode ??= code; // 1006: it was lost
        return null;
    }
  }

  @override
  void send(Object frame) {
    try {
      switch (frame) {
        case final String text:
          _socket.sendText(text);
        case final Uint8List bytes:
          _socket.sendBytes(bytes);
        default:
          throw ArgumentError.value(frame, 'frame', 'no String or Uint8List');
      }
    } on WebSocketConnectionClosed {
      return; // as the end of the frames tells
    }
  }

  @override
  Future<void> flush() => Future<void>.value();

  @override
  Future<void> close([int code = 1000]) async {
    closeCode ??= code;
    // The others are for servers only, as far as browsers go.
    final isAllowed = code == 1000 || (code >= 3000 && code < 5000);
    try {
      await _socket.close(isAllowed ? code : null);
    } on WebSocketException {
      return; // it is closed already
    }
  }
}
