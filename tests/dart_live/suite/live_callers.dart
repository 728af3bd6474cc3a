/// Calls in the background, and who calls.
library;

import 'dart:async';

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';
import 'package:telegraph_api/telegraph_api.dart';

import '../../../dart/mothlight/test/harness.dart';
import 'live.dart' as live;
import 'live.dart' hide url, secured, key, ledger;

/// Calls in the background, and the contract.
void background() {
  withCalls('a call in the background', (api, transport) async {
    final call = await transport.begin(TelegraphMethods.sleep, 0.3);
    final status = await call.status();
    equal(status.id, call.id);
    check(!status.isFinal, '${status.state}');
    equal(await call.result(), 0.3);
    equal((await call.status()).state, CallState.done);
  });
  withCalls('is found again by its id', (api, transport) async {
    final begun = await transport.begin(
      TelegraphMethods.say,
      Speech(text: 'a b c'),
    );
    transport.close();
    final another = Transport(live.url, adapter: IoAdapter());
    final call = another.operation(TelegraphMethods.say, begun.id);
    for (var i = 0; i < 2; i++) {
      equal((await call.stream().toList()).length, 3);
    }
    another.close();
  });
  withCalls('is cancelled', (api, transport) async {
    final call = await transport.begin(TelegraphMethods.sleep, 60.0);
    await call.cancel();
    await throws<CancelledException>(call.result);
    equal((await call.status()).state, CallState.cancelled);
  });
  withCalls('fails with its own error', (api, transport) async {
    final call = await transport.begin(
      TelegraphMethods.judge,
      Review(text: 'much too long'),
    );
    equal((await throws<TextTooLong>(call.result)).length, 13);
    final status = await call.status();
    equal(status.state, CallState.failed);
    check(status.error is TextTooLong);
  });
  withCalls('its answer is waited for as long as one likes', (
    api,
    transport,
  ) async {
    final call = await transport.begin(TelegraphMethods.sleep, 1.2);
    await throws<CallTimeoutException>(
      () => call.result(timeout: const Duration(milliseconds: 200)),
    );
    equal(await call.result(), 1.2);
  });
  withCalls('the contract is compared', (api, transport) async {
    const known = TelegraphMethods.contract;
    equal(await transport.check(known), ContractCheck.same);
    equal(
      await transport.check(
        ServiceContract(name: known.name, hash: 'sha256:0', command: 'x'),
      ),
      ContractCheck.changed,
    );
    equal(
      await transport.check(
        ServiceContract(name: 'Semaphore', hash: known.hash, command: 'x'),
      ),
      ContractCheck.missing,
    );
  });
}

/// Who calls.
void callers() {
  Transport secured(TokenSource token) =>
      Transport(live.secured, adapter: IoAdapter(), token: token);

  test('a token that is refused is asked for anew', () async {
    var token = 'moth_00000000_${'x' * 43}', renewed = 0;
    final transport = secured(({required bool force}) {
      if (force) renewed++;
      return token = force ? live.key : token;
    });
    final api = TelegraphClient(transport);
    equal(await api.square(number: 4), 16);
    equal(await api.count().toList(), [1, 2, 3]);
    equal(await api.double_(Stream.value(4)).toList(), [8]);
    equal(renewed, 1);
    transport.close();
  });
  test('many calls with an old token ask once', () async {
    var renewed = 0;
    final transport = secured(({required bool force}) async {
      await Future<void>.delayed(const Duration(milliseconds: 20));
      if (force) renewed++;
      return renewed > 0 ? live.key : 'moth_00000000_${'x' * 43}';
    });
    final api = TelegraphClient(transport);
    await Future.wait([for (var i = 0; i < 20; i++) api.square(number: i)]);
    equal(renewed, 1);
    transport.close();
  });
  test('a token that stays wrong', () async {
    final transport = secured(({required bool force}) => 'nonsense');
    final api = TelegraphClient(transport);
    await throws<UnauthenticatedException>(() => api.square(number: 4));
    await throws<UnauthenticatedException>(() => api.count().toList());
    await throws<UnauthenticatedException>(
      () => api.double_(Stream.value(4)).toList(),
    );
    transport.close();
  });
  test('a source of tokens that fails', () async {
    final transport = secured(
      ({required bool force}) => throw StateError('no keychain'),
    );
    final api = TelegraphClient(transport);
    await throws<StateError>(() => api.square(number: 4));
    await throws<StateError>(() => api.count().toList());
    transport.close();
  });
}
