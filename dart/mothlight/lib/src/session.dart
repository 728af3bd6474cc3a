import 'dart:async';

import 'answer.dart';
import 'call.dart';
import 'connection.dart';
import 'contracts.dart';
import 'ending.dart';
import 'errors.dart';
import 'exchange.dart';
import 'http_adapter.dart';
import 'method.dart';
import 'patience.dart';
import 'random_id.dart';
import 'tokens.dart';

/// How long a call that is left may take to be cancelled.
const Duration cancelTime = Duration(milliseconds: 1500);

/// The longest that a timer is set for: browsers take no longer ones.
const Duration _longestTimer = Duration(days: 20);

/// A connection that the app's going to the background closes.
abstract interface class LiveCall {
  /// Closes the connection; the call goes on.
  void pause();

  /// Opens it again.
  void resume();
}

/// What the calls of one transport share, and their I/O.
final class Session {
  /// Of the server at [url].
  Session(
    Uri url, {
    required this.adapter,
    required this.tokens,
    required this.maxAnswer,
  }) : base = _address(url),
       _url = url;

  /// The server's address without a last slash; null where it is none.
  final String? base;

  /// The door to the network.
  final HttpAdapter adapter;

  /// Who calls.
  final Tokens tokens;

  /// Bytes of an answer, or of one item.
  final int maxAnswer;

  /// Stands before the supersede keys: who knows one could end the calls.
  final String secret = randomId();

  /// What the server says of its services.
  late final Contracts contracts = Contracts(this);

  final Uri _url;
  final Set<Ending> _endings = {};
  final Set<LiveCall> _live = {};
  final Set<Future<void>> _leaving = {};
  final Map<String, Ending> _newest = {};

  /// Those that run on the server until the newest comes there.
  final Map<String, Exchange<Object?>> _outdone = {};
  bool _isPaused = false, _isClosed = false;

  /// Whether the app is in the background.
  bool get isPaused => _isPaused;

  /// Whether nothing may be sent any more.
  bool get isClosed => _isClosed;

  // Calls

  /// A call of [method]; see [Exchange]. Throws where it cannot be made.
  Exchange<O> exchange<O>(
    Method<Object?, O> method,
    CallOptions options, {
    String? known,
    bool isBackground = false,
    bool isPage = false,
  }) {
    if (_isClosed) throw _closed();
    final base = this.base;
    if (base == null) {
      throw ConnectionException(
        '$_url is no address of a server',
        url: _url,
        hint: 'write http://host:port',
      );
    }
    return Exchange<O>(
      base: base,
      method: method,
      options: options,
      secret: secret,
      maxAnswer: maxAnswer,
      known: known,
      isBackground: isBackground,
      isPage: isPage,
    );
  }

  /// Begins a call: what may end it on this side. A call with the same
  /// supersede key that runs is ended.
  Ending begin(Exchange<Object?> exchange) {
    final ending = Ending();
    _endings.add(ending);
    if (exchange.supersedeKey case final key?) {
      final older = _newest[key];
      _newest[key] = ending;
      older?.end(_superseded());
    }
    final left = exchange.patience.left;
    ending.watch(
      exchange.options.cancel,
      left == null || left > _longestTimer ? null : left + slack,
      exchange.id,
    );
    return ending;
  }

  /// A call has ended, by whatever: where it may still run, and nothing else
  /// ends it, the server is told.
  void finish(Exchange<Object?> exchange, Ending ending) {
    _endings.remove(ending);
    final key = exchange.supersedeKey;
    final isNewest = identical(_newest[key], ending);
    if (isNewest) _newest.remove(key);
    if (exchange.isLeft) {
      // The request of the newer call ends it, if there is one that comes.
      final isOutdone = ending.reason is SupersededException;
      if (isOutdone && _newest.containsKey(key)) {
        _outdone[key!] = exchange;
      } else {
        _leave(exchange);
      }
    }
    final older = isNewest ? _outdone.remove(key) : null;
    if (older != null && !exchange.isOpen) _leave(older);
    ending.over();
  }

  void _leave(Exchange<Object?> exchange) {
    final cancelling = _cancel(exchange);
    _leaving.add(cancelling);
    unawaited(cancelling.whenComplete(() => _leaving.remove(cancelling)));
  }

  /// Closes its connection when the app goes to the background.
  void enter(LiveCall call) => _live.add(call);

  /// It has no connection any more.
  void leave(LiveCall call) => _live.remove(call);

  // I/O

  /// Sends the next request of [connection]'s call. Throws [AdapterException],
  /// [Silence], [UnauthenticatedException], or why the call ends here.
  Future<void> send(Connection connection) async {
    final Connection(:exchange, :ending) = connection;
    connection.generation = tokens.generation;
    final token = await ending.guard(tokens.current());
    await connection.open(adapter, (abort) => exchange.request(token, abort));
  }

  /// What to do about an answer that is no message: the pause until the next
  /// request. Throws the exception that it is.
  Future<Duration> refused(
    Exchange<Object?> exchange,
    Ending ending,
    Answer answer,
    int generation,
  ) async {
    if (answer.status == 401 && !exchange.isRenewed) {
      final token = await ending.guard(tokens.renew(generation));
      exchange.isRenewed = true;
      if (token != null) return Duration.zero;
    }
    final key = exchange.supersedeKey;
    if (key != null && identical(_newest[key], ending)) {
      if (answer.problem?['type'] == 'Superseded') {
        if (exchange.anew() case final pause?) return pause;
      }
    }
    return exchange.refused(answer);
  }

  /// The answer of a call that has succeeded. Throws the call's exception.
  Future<Answer> answer(Exchange<Object?> exchange, Ending ending) async {
    while (true) {
      Duration pause;
      try {
        final connection = Connection(exchange, ending);
        await send(connection);
        final answer = await connection.read(maxAnswer);
        if (exchange.isAnswer(answer)) {
          _outdone.remove(exchange.supersedeKey);
          return answer;
        }
        pause = await refused(exchange, ending, answer, connection.generation);
      } on AdapterException catch (error) {
        pause = exchange.lost(error);
      } on Silence catch (error) {
        pause = exchange.lost(error);
      }
      await ending.sleep(pause);
    }
  }

  Future<void> _cancel(Exchange<Object?> exchange) async {
    final abort = Completer<void>();
    final timer = Timer(cancelTime, abort.complete);
    final over = Completer<Never>();
    unawaited(abort.future.then((_) => over.completeError(_leftAlone)));
    over.future.ignore();
    Future<T> within<T>(Future<T> work) => Future.any([work, over.future]);
    try {
      final token = await within(tokens.current());
      for (final pause in exchange.cancelPauses) {
        // Without a timer where there is nothing to wait for: a widget test
        // that leaves a call fails by one that is pending.
        if (pause > Duration.zero) await within(Future<void>.delayed(pause));
        try {
          final request = exchange.cancel(token, abort.future);
          final sending = adapter.send(request);
          unawaited(sending.then(discard, onError: (Object _) {}));
          if ((await within(sending)).status != 404) return;
        } on AdapterException {
          continue;
        }
      }
    } catch (_) {
      // Nobody waits for it: the server's grace ends the call.
    } finally {
      timer.cancel();
    }
  }

  // Life

  /// The app goes to the background.
  void pause() {
    if (_isPaused || _isClosed) return;
    _isPaused = true;
    for (final call in [..._live]) {
      call.pause();
    }
  }

  /// The app is back.
  void resume() {
    if (!_isPaused || _isClosed) return;
    _isPaused = false;
    for (final call in [..._live]) {
      call.resume();
    }
  }

  /// Ends all calls, and then closes the adapter.
  Future<void> close() async {
    if (_isClosed) return;
    _isClosed = true;
    for (final ending in [..._endings]) {
      ending.end(_closed());
    }
    // The calls' own code comes first, which leaves them.
    await Future<void>.delayed(Duration.zero);
    await Future.wait([..._leaving]);
    adapter.close();
  }
}

const Silence _leftAlone = Silence(cancelTime);

CancelledException _closed() =>
    const CancelledException('the transport is closed');

SupersededException _superseded() => SupersededException(
  const Problem(
    type: 'Superseded',
    code: Code.aborted,
    status: 409,
    detail: 'a newer call has taken its place',
    fields: {},
  ),
);

String? _address(Uri url) {
  if ((url.scheme != 'http' && url.scheme != 'https') || url.host.isEmpty) {
    return null;
  }
  final text =
      Uri(
        scheme: url.scheme,
        userInfo: url.userInfo,
        host: url.host,
        port: url.hasPort ? url.port : null,
        path: url.path,
      ).toString();
  return text.endsWith('/') ? text.replaceFirst(RegExp(r'/+$'), '') : text;
}
