import 'dart:async';

import 'body.dart';
import 'call.dart';
import 'contracts.dart';
import 'http_adapter.dart';
import 'method.dart';
import 'operation.dart';
import 'operation_call.dart';
import 'server_stream.dart';
import 'session.dart';
import 'talk.dart';
import 'tokens.dart';
import 'unary.dart';

export 'contracts.dart' show ContractCheck;

/// Gives the token of `Authorization: Bearer`; null: none. With [force] the
/// server has refused the last one (401): a new one is needed. An exception
/// counts as a lost connection, and is tried again; null is who is signed out.
typedef TokenSource = FutureOr<String?> Function({required bool force});

/// Calls of one server. Generated clients are made from it:
///
/// ```dart
/// final transport = Transport(Uri.parse('http://10.0.2.2:5000'), adapter: PackageHttpAdapter());
/// final sentiment = SentimentClient(transport);
/// ```
final class Transport {
  /// [baseUrl] may have a path, where the server mounts the app.
  Transport(
    this.baseUrl, {
    required this.adapter,
    this.token,
    this.options = const CallOptions(),
    this.maxAnswer = longestMessage,
  });

  /// Where the server is.
  final Uri baseUrl;

  /// The door to the network.
  final HttpAdapter adapter;

  /// Who calls.
  final TokenSource? token;

  /// How calls are made that say nothing else.
  final CallOptions options;

  /// Bytes of an answer, or of one item.
  final int maxAnswer;

  late final Session _session = Session(
    baseUrl,
    adapter: adapter,
    tokens: Tokens(token),
    maxAnswer: maxAnswer,
  );

  /// A call with one answer.
  Future<O> unary<I, O>(
    Method<I, O> method,
    I message, {
    CallOptions? options,
  }) async {
    final exchange = _session.exchange<O>(method, this.options.merge(options));
    return callUnary(
      _session,
      exchange,
      exchange.result,
      encode: () => encodeBody(method, message),
    );
  }

  /// A stream of answers. The call begins when it is listened to; to cancel
  /// the subscription stops it on the server.
  Stream<O> serverStream<I, O>(
    Method<I, O> method,
    I message, {
    CallOptions? options,
  }) =>
      ServerStream<O>(
        _session,
        () => _session.exchange(method, this.options.merge(options)),
        () => encodeBody(method, message),
      ).stream;

  /// A stream of messages with one answer.
  Future<O> clientStream<I, O>(
    Method<I, O> method,
    Stream<I> messages, {
    CallOptions? options,
  }) => collect(_session, method, messages, this.options.merge(options));

  /// Streams both ways.
  Stream<O> duplex<I, O>(
    Method<I, O> method,
    Stream<I> messages, {
    CallOptions? options,
  }) => converse(_session, method, messages, this.options.merge(options));

  /// Begins a call in the background (unary or server stream).
  ///
  /// [message] must be just what [method] takes: Dart lets a `60` pass where a
  /// `double` is due, since a `Method<double, …>` is a `Method<num, …>` too,
  /// and that is a [TypeError] when it is called. Write `60.0`.
  Future<Operation<O>> begin<I, O>(
    Method<I, O> method,
    I message, {
    CallOptions? options,
  }) async {
    final exchange = _session.exchange<O>(
      method,
      this.options.merge(options),
      isBackground: true,
    );
    return callUnary(_session, exchange, (answer) {
      exchange.over();
      final id = answer.headers['call-id'] ?? '';
      if (answer.status != 202 || id.isEmpty) {
        throw exchange.unexpected(
          'the server does not take calls in the background',
        );
      }
      return operation(method, id);
    }, encode: () => encodeBody(method, message));
  }

  /// A call that was begun before, also before the app was started anew.
  Operation<O> operation<I, O>(Method<I, O> method, String id) =>
      OperationCall<O>(_session, method, options, id);

  /// Whether the server's contract is the one that a package was made from.
  Future<ContractCheck> check(ServiceContract contract) =>
      _session.contracts.check(contract, options);

  /// The app goes to the background: connections of streams are closed, and
  /// the calls live on for the server's `grace` (30 s).
  void pause() => _session.pause();

  /// The app is back: streams go on where they were.
  void resume() => _session.resume();

  /// Ends all calls with a `CancelledException`, and closes the adapter.
  void close() => unawaited(_session.close());
}
