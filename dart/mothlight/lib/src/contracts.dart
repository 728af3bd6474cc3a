import 'dart:async';

import 'answer.dart';
import 'call.dart';
import 'errors.dart';
import 'exchange.dart';
import 'hints.dart';
import 'json.dart';
import 'method.dart';
import 'problem.dart';
import 'session.dart';

/// How long a failed call may be kept from its caller, to find out whether
/// the server's contract explains it.
const Duration _explainTime = Duration(seconds: 2);

/// The contract at `/contract`, as far as a package must know it.
final class Contracts {
  /// Of the server of [_session].
  Contracts(this._session);

  final Session _session;
  final Map<String, Future<String?>> _hints = {};
  Map<String, String> _hashes = const {};
  String? _etag;

  /// Whether the server's contract is the one that a package was made from.
  Future<ContractCheck> check(
    ServiceContract contract, [
    CallOptions options = const CallOptions(),
  ]) async {
    final etag = _etag;
    final exchange = _session.exchange(
      _page,
      options.merge(
        CallOptions(headers: {if (etag != null) 'if-none-match': etag}),
      ),
      isPage: true,
    );
    final ending = _session.begin(exchange);
    try {
      final answer = await _session.answer(exchange, ending);
      if (answer.status != 304) _read(exchange, answer);
    } finally {
      _session.finish(exchange, ending);
    }
    return switch (_hashes[contract.name]) {
      null => ContractCheck.missing,
      final hash when hash == contract.hash => ContractCheck.same,
      _ => ContractCheck.changed,
    };
  }

  /// The exception of a call, with a hint where another contract explains it.
  /// The server is asked until it has answered, once for each service.
  Future<MothlightException> explain(
    Exchange<Object?> exchange,
    MothlightException error,
  ) async {
    if (!_mayDrift(error) || exchange.isPage || _session.isClosed) return error;
    final contract = exchange.method.contract;
    final hint = await (_hints[contract.name] ??= _hint(contract));
    return hint == null ? error : _hinted(error, hint);
  }

  Future<String?> _hint(ServiceContract contract) async {
    try {
      final found = await check(
        contract,
        const CallOptions(timeout: _explainTime, retries: 0),
      );
      return found == ContractCheck.changed
          ? contractHint(contract.command)
          : null;
    } catch (error) {
      // Whoever could not be reached may be asked again.
      if (error is MothlightException && error.isTransient) {
        unawaited(_hints.remove(contract.name));
      }
      return null; // the call has its own exception
    }
  }

  void _read(Exchange<Object?> exchange, Answer answer) {
    if (!answer.isJson) throw foreign(answer, url: exchange.url);
    final document = JsonMap.of(
      exchange.decodeBytes(answer.content),
      'contract',
    );
    final whole = document.readOr<String>('hash', readString, '');
    final services = document.read('services', listOf(readAny));
    _hashes = {
      for (final service in services.map((json) => JsonMap.of(json, 'service')))
        service.read('name', readString): service.readOr<String>(
          'hash',
          readString,
          whole,
        ),
    };
    _etag = answer.headers['etag'];
  }
}

/// What [Contracts.check] finds.
enum ContractCheck {
  /// The same.
  same,

  /// Another: make the package anew.
  changed,

  /// The server has no such service.
  missing,
}

bool _mayDrift(MothlightException error) => switch (error) {
  DecodeException() || InvalidRequestException() => true,
  ApiException(:final type) => type == 'RouteNotFound',
  _ => false,
};

MothlightException _hinted(MothlightException error, String hint) =>
    switch (error) {
      DecodeException() => DecodeException(
        error.message,
        path: error.path,
        hint: hint,
        callId: error.callId,
      ),
      InvalidRequestException() => InvalidRequestException(
        error.problem,
        hint: hint,
      ),
      ApiException() => ApiException(error.problem, hint: hint),
      _ => error,
    };

const ServiceContract _server = ServiceContract(
  name: 'Mothlight',
  hash: '',
  command: '',
);

final Method<void, Object?> _page = Method(
  contract: _server,
  name: 'contract',
  cardinality: Cardinality.unary,
  verb: 'GET',
  path: '/contract',
  encode: (_) => absent,
  decode: readAny,
);
