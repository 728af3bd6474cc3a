/// Stands in for package:http 1.6 where there is no pub: the names that the
/// runtime's adapter uses, with the package's own behaviour.
library;

import 'dart:async';
import 'dart:typed_data';

class ClientException implements Exception {
  ClientException(this.message, [this.uri]);

  final String message;
  final Uri? uri;

  @override
  String toString() =>
      uri == null
          ? 'ClientException: $message'
          : 'ClientException: $message, uri=$uri';
}

class RequestAbortedException extends ClientException {
  RequestAbortedException([Uri? uri])
    : super('Request aborted by `abortTrigger`', uri);
}

final class ByteStream extends StreamView<List<int>> {
  const ByteStream(super.stream);

  /// As browsers, cronet_http and ok_http take a body.
  Future<Uint8List> toBytes() {
    final done = Completer<Uint8List>();
    final bytes = BytesBuilder();
    listen(
      bytes.add,
      onError: done.completeError,
      onDone: () => done.complete(bytes.takeBytes()),
      cancelOnError: true,
    );
    return done.future;
  }
}

abstract class BaseRequest {
  BaseRequest(this.method, this.url);

  final String method;
  final Uri url;
  int? contentLength;
  bool followRedirects = true;
  int maxRedirects = 5;
  final Map<String, String> headers = {};

  ByteStream finalize() => const ByteStream(Stream.empty());
}

abstract mixin class Abortable implements BaseRequest {
  abstract final Future<void>? abortTrigger;
}

class StreamedResponse {
  StreamedResponse(
    Stream<List<int>> stream,
    this.statusCode, {
    this.headers = const {},
  }) : stream = ByteStream(stream);

  final ByteStream stream;
  final int statusCode;
  final Map<String, String> headers;
}

abstract interface class Client {
  factory Client() => throw UnimplementedError();

  Future<StreamedResponse> send(BaseRequest request);

  void close();
}
