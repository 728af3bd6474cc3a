/// Stands in for package:http 1.x where there is none: the few names that the
/// tutorial uses, with the same bytes on the wire (see test_tutorial_dart.py).
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:math';

class Response {
  Response(this.statusCode, this.body);

  final int statusCode;
  final String body;
}

class ByteStream extends StreamView<List<int>> {
  ByteStream(super.stream);

  Future<String> bytesToString() => transform(utf8.decoder).join();
}

class StreamedResponse {
  StreamedResponse(this.stream, this.statusCode);

  final ByteStream stream;
  final int statusCode;
}

class Request {
  Request(this.method, this.url);

  final String method;
  final Uri url;
}

class Client {
  final _inner = HttpClient();

  Future<StreamedResponse> send(Request request) => _send(
    _inner,
    request.method,
    request.url,
    const {},
    const Stream.empty(),
    0,
  );

  void close() => _inner.close(force: true);
}

Future<Response> post(
  Uri url, {
  required Map<String, String> headers,
  required String body,
}) async {
  final client = HttpClient();
  final bytes = utf8.encode(body);
  // Before 1.6 the package added the charset to every content type.
  final sent = {
    ...headers,
    'Content-Type': '${headers['Content-Type']}; charset=utf-8',
  };
  final answer = await _send(
    client,
    'POST',
    url,
    sent,
    Stream.value(bytes),
    bytes.length,
  );
  final response = Response(
    answer.statusCode,
    await answer.stream.bytesToString(),
  );
  client.close();
  return response;
}

class MultipartFile {
  MultipartFile._(this.field, this.data, this.filename);

  final String field;
  final List<int> data;
  final String filename;

  static Future<MultipartFile> fromPath(String field, String path) async =>
      MultipartFile._(
        field,
        await File(path).readAsBytes(),
        path.split('/').last,
      );
}

class MultipartRequest {
  MultipartRequest(this.method, this.url);

  final String method;
  final Uri url;
  final fields = <String, String>{};
  final files = <MultipartFile>[];

  static const _characters =
      '+_-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

  Future<StreamedResponse> send() {
    final random = Random();
    final tail =
        List.generate(
          51,
          (_) => _characters[random.nextInt(_characters.length)],
        ).join();
    final boundary = 'dart-http-boundary-$tail';
    final body = BytesBuilder();
    for (final field in fields.entries) {
      body.add(
        utf8.encode(
          '--$boundary\r\n'
          'content-disposition: form-data; name="${field.key}"\r\n\r\n'
          '${field.value}\r\n',
        ),
      );
    }
    for (final file in files) {
      body.add(
        utf8.encode(
          '--$boundary\r\ncontent-type: application/octet-stream\r\n'
          'content-disposition: form-data; name="${file.field}"; '
          'filename="${file.filename}"\r\n\r\n',
        ),
      );
      body.add(file.data);
      body.add(utf8.encode('\r\n'));
    }
    body.add(utf8.encode('--$boundary--\r\n'));
    final bytes = body.toBytes();
    final headers = {'content-type': 'multipart/form-data; boundary=$boundary'};
    return _send(
      HttpClient()..idleTimeout = Duration.zero,
      method,
      url,
      headers,
      Stream.value(bytes),
      bytes.length,
    );
  }
}

Future<StreamedResponse> _send(
  HttpClient client,
  String method,
  Uri url,
  Map<String, String> headers,
  Stream<List<int>> body,
  int length,
) async {
  final request =
      (await client.openUrl(method, url))
        ..followRedirects = true
        ..maxRedirects = 5
        ..contentLength = length
        ..persistentConnection = true;
  headers.forEach((name, value) => request.headers.set(name, value));
  await request.addStream(body);
  final response = await request.close();
  return StreamedResponse(ByteStream(response), response.statusCode);
}
