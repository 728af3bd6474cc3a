/// Stands in for package:web_socket 1.x where there is no pub: the names that
/// the runtime's adapter for browsers uses.
library;

import 'dart:typed_data';

sealed class WebSocketEvent {}

final class TextDataReceived extends WebSocketEvent {
  TextDataReceived(this.text);

  final String text;
}

final class BinaryDataReceived extends WebSocketEvent {
  BinaryDataReceived(this.data);

  final Uint8List data;
}

final class CloseReceived extends WebSocketEvent {
  CloseReceived([this.code, this.reason = '']);

  final int? code;
  final String reason;
}

class WebSocketException implements Exception {
  WebSocketException([this.message = '']);

  final String message;
}

class WebSocketConnectionClosed extends WebSocketException {
  WebSocketConnectionClosed([super.message = 'Connection Closed']);
}

abstract interface class WebSocket {
  static Future<WebSocket> connect(Uri url, {Iterable<String>? protocols}) =>
      opens(url, protocols);

  /// A test's own.
  static Future<WebSocket> Function(Uri url, Iterable<String>? protocols)
  opens = (_, _) => throw UnimplementedError();

  void sendText(String text);

  void sendBytes(Uint8List bytes);

  Future<void> close([int? code, String? reason]);

  Stream<WebSocketEvent> get events;
}
