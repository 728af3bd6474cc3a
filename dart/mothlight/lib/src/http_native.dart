import 'dart:io';

import 'package:http/http.dart' as http;
import 'package:http/io_client.dart';

import '../io.dart';
import 'http_adapter.dart';

/// Whether [connectSocket] sends headers.
const bool socketsSendHeaders = true;

/// A client that gives up on a host that does not answer.
http.Client newClient() => IOClient(
  HttpClient()
    ..connectionTimeout = const Duration(seconds: 10)
    // Servers keep idle connections for 75 s: what they are about to close
    // must not be used.
    ..idleTimeout = const Duration(seconds: 60),
);

/// Opens a WebSocket by dart:io, which can send headers.
Future<MessageSocket> connectSocket(
  Uri url,
  List<String> protocols,
  Map<String, String> headers,
  Future<void> abort,
) async {
  final adapter = IoAdapter();
  try {
    return await adapter.connect(
      url,
      protocols: protocols,
      headers: headers,
      abort: abort,
    );
  } finally {
    adapter.close(); // the socket has left it
  }
}
