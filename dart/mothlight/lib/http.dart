/// Calls by package:http: the adapter of apps, for all platforms.
library;

import 'dart:async';

import 'package:http/http.dart' as http;

import 'src/http_adapter.dart';
// dart:io stands behind the condition: the package stays one for browsers.
import 'src/http_web.dart' if (dart.library.io) 'src/http_native.dart';

/// The network of package:http, and WebSockets of dart:io or of the browser.
final class PackageHttpAdapter implements HttpAdapter {
  /// [client] may be any of package:http, as of cronet_http or cupertino_http;
  /// it is closed with the adapter.
  PackageHttpAdapter([http.Client? client]) : _client = client ?? newClient();

  final http.Client _client;
  bool _isClosed = false;

  @override
  bool get sendsSocketHeaders => socketsSendHeaders;

  /// Errors of the request's own body pass through as they are. Redirects are
  /// not followed.
  @override
  Future<RawResponse> send(RawRequest request) async {
    if (_isClosed) throw _closed;
    final outgoing = _Request(request);
    final http.StreamedResponse? response;
    try {
      final sending = _client.send(outgoing);
      response = await Future.any([
        sending,
        request.abort.then((_) => null), // connecting cannot be aborted
      ]);
      if (response == null) {
        outgoing.abort();
        unawaited(sending.then(_abandon, onError: (Object _) {}));
        throw _aborted;
      }
    } on Object catch (error) {
      if (outgoing.failure case (final failure, final stack)) {
        Error.throwWithStackTrace(failure, stack);
      }
      throw _failure(error);
    }
    return RawResponse(
      status: response.statusCode,
      headers: response.headers,
      body: _body(response.stream, request.abort, outgoing),
    );
  }

  @override
  Future<MessageSocket> connect(
    Uri url, {
    List<String> protocols = const [],
    Map<String, String> headers = const {},
    required Future<void> abort,
  }) => connectSocket(url, protocols, headers, abort);

  @override
  void close() {
    _isClosed = true;
    _client.close();
  }
}

/// A request whose body is only listened to by the client that sends it.
final class _Request extends http.BaseRequest with http.Abortable {
  _Request(this._request) : super(_request.method, _request.url) {
    headers.addAll(_request.headers);
    contentLength = _request.body == null ? 0 : _request.contentLength;
    followRedirects = false; // with whose token?
  }

  final RawRequest _request;

  /// The error of the body.
  (Object, StackTrace)? failure;

  final Completer<void> _aborted = Completer<void>();

  @override
  Future<void>? get abortTrigger => _aborted.future;

  /// Tells the client that nobody wants the answer any more.
  void abort() {
    if (!_aborted.isCompleted) _aborted.complete();
  }

  @override
  http.ByteStream finalize() {
    super.finalize();
    final body = _request.body ?? const Stream<List<int>>.empty();
    return http.ByteStream(
      body.handleError((Object error, StackTrace stack) {
        failure ??= (error, stack);
        Error.throwWithStackTrace(error, stack);
      }),
    );
  }
}

const AdapterException _closed = AdapterException(
  'the adapter is closed',
  isPermanent: true,
);

const AdapterException _aborted = AdapterException('the request was aborted');

void _abandon(http.StreamedResponse response) =>
    unawaited(response.stream.listen(null, onError: (Object _) {}).cancel());

AdapterException _failure(Object error) => switch (error) {
  final AdapterException known => known,
  http.RequestAbortedException() => _aborted,
  http.ClientException(:final message) => AdapterException(
    message,
    cause: error,
  ),
  _ => AdapterException(
    '$error',
    cause: error,
    isPermanent:
        error is Error ||
        error is FormatException ||
        _speaksOtherwise('$error'),
  ),
};

/// Whether a certificate is wrong, or the server speaks no TLS at all.
bool _speaksOtherwise(String reason) =>
    reason.contains('CERTIFICATE') || reason.contains('WRONG_VERSION');

/// The bytes of an answer, until they end or nobody wants them, whether or not
/// the client knows how to abort.
Stream<List<int>> _body(
  Stream<List<int>> source,
  Future<void> abort,
  _Request outgoing,
) {
  StreamSubscription<List<int>>? reading;
  late final StreamController<List<int>> body;
  void fail(Object error, StackTrace stack) {
    if (body.isClosed) return; // the client may tell of an abort too
    final left = reading ??= source.listen(null, onError: (Object _) {});
    unawaited(left.cancel());
    body.addError(error, stack);
    unawaited(body.close());
  }

  body = StreamController<List<int>>(
    sync: true,
    onListen:
        () =>
            reading ??= source.listen(
              body.add,
              onError:
                  (Object error, StackTrace stack) =>
                      fail(_failure(error), stack),
              onDone: body.close,
            ),
    onPause: () => reading?.pause(),
    onResume: () => reading?.resume(),
    onCancel: () => reading?.cancel(),
  );
  unawaited(
    abort.then((_) {
      // In this order: package:http before 1.7 keeps a connection that was
      // aborted before anybody listened.
      fail(_aborted, StackTrace.current);
      outgoing.abort();
    }),
  );
  return body.stream;
}
