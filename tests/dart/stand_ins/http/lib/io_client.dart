/// See http.dart.
library;

import 'dart:async';
import 'dart:io';

import 'http.dart';

class _ClientSocketException extends ClientException
    implements SocketException {
  _ClientSocketException(this.cause, Uri uri) : super(cause.message, uri);

  final SocketException cause;

  @override
  InternetAddress? get address => cause.address;

  @override
  OSError? get osError => cause.osError;

  @override
  int? get port => cause.port;

  @override
  String toString() => 'ClientException with $cause, uri=$uri';
}

class IOClient implements Client {
  IOClient([HttpClient? inner]) : _inner = inner ?? HttpClient();

  final HttpClient _inner;

  @override
  Future<StreamedResponse> send(BaseRequest request) async {
    final stream = request.finalize();
    try {
      final outgoing =
          (await _inner.openUrl(request.method, request.url))
            ..followRedirects = request.followRedirects
            ..contentLength = request.contentLength ?? -1;
      request.headers.forEach(outgoing.headers.set);
      if (request case Abortable(:final abortTrigger?)) {
        unawaited(
          abortTrigger.whenComplete(
            () => outgoing.abort(RequestAbortedException(request.url)),
          ),
        );
      }
      final response = await stream.pipe(outgoing) as HttpClientResponse;
      final headers = <String, String>{};
      response.headers.forEach((name, values) {
        headers[name] = values.join(',');
      });
      return StreamedResponse(response, response.statusCode, headers: headers);
    } on SocketException catch (error) {
      throw _ClientSocketException(error, request.url);
    } on HttpException catch (error) {
      throw ClientException(error.message, error.uri);
    }
  }

  @override
  void close() => _inner.close(force: true);
}
