import 'dart:async';

import 'errors.dart';
import 'hints.dart';
import 'http_adapter.dart';

/// Who calls: the tokens that a source gives, and that are asked for anew when
/// the server refuses one: once for all calls that wait.
final class Tokens {
  /// Those of [_source]; without one there are none.
  Tokens(this._source);

  final FutureOr<String?> Function({required bool force})? _source;
  Future<String?>? _renewing;
  int _generation = 0;
  String? _said, _refused, _renewed;

  /// Counts the tokens that were asked for anew: take it before [current].
  int get generation => _generation;

  /// The token for a request.
  Future<String?> current() async {
    if (_renewing case final renewing?) return renewing;
    final token = _said = await _asked(force: false);
    // A source that does not keep what it was forced to make gives the refused
    // one again; one without anything newer has but that.
    return token != null && token == _refused ? _renewed ?? token : token;
  }

  /// The token after one of [generation] was refused; null where there is
  /// none.
  Future<String?> renew(int generation) {
    if (_source == null) return Future.value();
    if (_renewing case final renewing?) return renewing;
    if (generation < _generation) return current();
    return _renewing = _renew();
  }

  Future<String?> _renew() async {
    final refused = _said;
    try {
      final token = await _asked(force: true);
      _refused = refused;
      _generation++;
      return _renewed = token;
    } finally {
      _renewing = null;
    }
  }

  /// Throws [AdapterException] where the source fails: it needs the network
  /// too, which may be back soon. Nobody is signed in where it gives null, or
  /// says so itself.
  Future<String?> _asked({required bool force}) async {
    try {
      return await _source?.call(force: force);
    } on Exception catch (error, stack) {
      if (error is MothlightException && !error.isTransient) rethrow;
      Error.throwWithStackTrace(
        AdapterException('$noToken: $error', cause: error),
        stack,
      );
    }
  }
}
