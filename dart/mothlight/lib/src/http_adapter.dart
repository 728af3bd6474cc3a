/// Bytes of the longest answer, where nobody says more or less.
const int longestMessage = 256 * 1024 * 1024;

/// A request as an adapter sends it.
final class RawRequest {
  /// See the fields.
  const RawRequest({
    required this.method,
    required this.url,
    this.headers = const {},
    this.body,
    this.contentLength = 0,
    required this.abort,
  });

  /// The verb of HTTP.
  final String method;

  /// The whole address.
  final Uri url;

  /// Names are lower-case.
  final Map<String, String> headers;

  /// The body in chunks, made anew for each request; null: there is none.
  final Stream<List<int>>? body;

  /// Bytes of [body]; null where it is not known.
  final int? contentLength;

  /// Completes when nobody wants the answer any more: the connection is to be
  /// closed at once, before the head has come as well as while the body comes.
  final Future<void> abort;
}

/// The head of an answer, and its body as it comes.
final class RawResponse {
  /// See the fields.
  const RawResponse({
    required this.status,
    required this.headers,
    required this.body,
  });

  /// The status of HTTP.
  final int status;

  /// Names are lower-case; of a header that came more than once the values
  /// are joined by `, `.
  final Map<String, String> headers;

  /// To cancel its subscription closes the connection; to pause it stops
  /// reading from the network.
  final Stream<List<int>> body;
}

/// A WebSocket (RFC 6455) without compression.
abstract interface class MessageSocket {
  /// The frames that come: a `String`, or a `Uint8List`. It ends when the
  /// socket is closed by whichever side, or lost. To pause it stops reading.
  Stream<Object> get frames;

  /// Sends a `String` or a `Uint8List`.
  void send(Object frame);

  /// Completes when what was sent has left this side, as far as the platform
  /// can tell; never throws.
  Future<void> flush();

  /// Closes it; never throws.
  Future<void> close([int code = 1000]);

  /// The code with which it was closed; null while it is open, or where the
  /// connection was lost.
  int? get closeCode;
}

/// The door to the network: package:http's in apps, dart:io's in programs
/// without packages, a script's in tests.
abstract interface class HttpAdapter {
  /// Sends a request; completes when the head of the answer has come.
  /// Throws [AdapterException].
  Future<RawResponse> send(RawRequest request);

  /// Opens a WebSocket. Throws [AdapterException], with the answer where the
  /// server refused it. A message of more than [maxMessage] bytes closes it
  /// with 1009, where the platform lets us see how long it will be.
  Future<MessageSocket> connect(
    Uri url, {
    List<String> protocols = const [],
    Map<String, String> headers = const {},
    int maxMessage = longestMessage,
    required Future<void> abort,
  });

  /// Whether [connect] can send headers; browsers cannot.
  bool get sendsSocketHeaders;

  /// Whether [send] takes a body as it leaves, as dart:io does it. Browsers
  /// take it at once, and send it afterwards.
  bool get streamsBodies;

  /// Closes idle connections; nothing may be sent afterwards.
  void close();
}

/// A connection that failed. [cause] is the platform's own exception.
final class AdapterException implements Exception {
  /// See the fields.
  const AdapterException(
    this.message, {
    this.cause,
    this.isPermanent = false,
    this.response,
  });

  /// What a request ends with whose `abort` has completed.
  static const AdapterException aborted = AdapterException(
    'the request was aborted',
  );

  /// What the platform says of it.
  final String message;

  /// The exception beneath.
  final Object? cause;

  /// Whether to try again is useless: a wrong address, a forbidden port.
  final bool isPermanent;

  /// The answer that refused a WebSocket, where the platform shows it.
  final RawResponse? response;

  @override
  String toString() => 'AdapterException: $message';
}
