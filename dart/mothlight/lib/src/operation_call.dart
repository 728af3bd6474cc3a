import 'dart:async';

import 'call.dart';
import 'errors.dart';
import 'exchange.dart';
import 'json.dart';
import 'method.dart';
import 'operation.dart';
import 'problem.dart';
import 'server_stream.dart';
import 'session.dart';
import 'unary.dart';

/// An [Operation] over HTTP.
final class OperationCall<T> implements Operation<T> {
  /// The call [id] of [_method].
  OperationCall(this._session, this._method, this._options, this.id) {
    if (!_isStream && _method.cardinality != Cardinality.unary) {
      throw ArgumentError.value(
        _method.qualifiedName,
        'method',
        'it takes a stream: no operation can be one',
      );
    }
  }

  final Session _session;
  final Method<Object?, T> _method;
  final CallOptions _options;

  @override
  final String id;

  bool get _isStream => _method.cardinality == Cardinality.serverStream;

  @override
  Future<CallStatus> status() {
    final exchange = _page('GET', _status, {'accept': statusType});
    return callUnary(_session, exchange, exchange.result);
  }

  @override
  Future<T> result({Duration? timeout}) async {
    if (_isStream) {
      throw StateError('${_method.qualifiedName} is a stream: ask stream()');
    }
    final exchange = _known(timeout ?? Duration.zero);
    return callUnary(_session, exchange, exchange.result);
  }

  @override
  Stream<T> stream() {
    if (!_isStream) {
      throw StateError('${_method.qualifiedName} has one answer: ask result()');
    }
    return ServerStream(_session, () => _known(Duration.zero)).stream;
  }

  @override
  Future<void> cancel() {
    final exchange = _page('DELETE', readNothing, const {});
    return callUnary(_session, exchange, exchange.result);
  }

  Exchange<T> _known(Duration timeout) => _session.exchange(
    _method,
    _options.merge(CallOptions(timeout: timeout)),
    known: id,
  );

  Exchange<R> _page<R>(
    String verb,
    Decoder<R> decode,
    Map<String, String> headers,
  ) => _session.exchange(
    Method<Object?, R>(
      contract: _method.contract,
      name: _method.name,
      cardinality: Cardinality.unary,
      verb: verb,
      path: '/calls/${Uri.encodeComponent(id)}',
      encode: (_) => absent,
      decode: decode,
    ),
    CallOptions(
      cancel: _options.cancel,
      headers: {..._options.headers, ...headers},
      retries: _options.retries,
      idle: _options.idle,
    ),
    isPage: true,
  );

  CallStatus _status(Object? json) {
    final map = JsonMap.of(json, 'CallStatus');
    return CallStatus(
      id: map.read('id', readString),
      state: switch (map.read('state', readString)) {
        'queued' => CallState.queued,
        'running' => CallState.running,
        'done' => CallState.done,
        'failed' => CallState.failed,
        'cancelled' => CallState.cancelled,
        _ => CallState.unknown,
      },
      created: map.read('created', readDateTime),
      ended: map.readOr('ended', nullable(readDateTime), null),
      items: map.readOr('items', readInt, 0),
      error: map.readOr('problem', _problem, null),
    );
  }

  MothlightException? _problem(Object? json) =>
      json == null
          ? null
          : exceptionOf(
            JsonMap.of(json, 'Problem').members,
            method: _method,
            callId: id,
          );
}
