import 'package:http/http.dart' as http;
import 'package:http/io_client.dart';

import '../io.dart';
import 'http_adapter.dart';
import 'io_client.dart';

/// Whether [connectSocket] sends headers.
const bool socketsSendHeaders = true;

/// The platform's own client, with our times.
http.Client newClient() => IOClient(newHttpClient());

/// Whether [client] takes a body as it leaves.
bool clientStreams(http.Client client) => client is IOClient;

/// Opens a WebSocket by dart:io, which can send headers.
Future<MessageSocket> connectSocket(
  Uri url,
  List<String> protocols,
  Map<String, String> headers,
  int maxMessage,
  Future<void> abort,
) async {
  final adapter = IoAdapter();
  try {
    return await adapter.connect(
      url,
      protocols: protocols,
      headers: headers,
      maxMessage: maxMessage,
      abort: abort,
    );
  } finally {
    adapter.close(); // the socket has left it
  }
}
