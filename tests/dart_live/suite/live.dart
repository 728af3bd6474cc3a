/// The servers of the live tests, and what can be asked of them.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:typed_data';

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';
import 'package:telegraph_api/telegraph_api.dart';

import '../../../dart/mothlight/test/harness.dart';

/// A server that anybody may call, and one that wants [key].
late final Uri url, secured;

/// A key of [secured].
late final String key;

/// Where the model notes its runs.
late final File ledger;

/// A test with a transport of its own.
void withCalls(
  String name,
  Future<void> Function(TelegraphClient api, Transport transport) body, {
  CallOptions options = const CallOptions(),
}) => test(name, () async {
  final transport = Transport(url, adapter: IoAdapter(), options: options);
  try {
    await body(TelegraphClient(transport), transport);
  } finally {
    transport.close();
  }
});

/// The sum of a metric of the server.
Future<double> metric(String method, String code) async {
  final client = HttpClient();
  final request = await client.getUrl(url.replace(path: '/metrics'));
  final page = await utf8.decodeStream(await request.close());
  client.close();
  var sum = 0.0;
  for (final line in page.split('\n')) {
    if (line.startsWith('mothlight_requests_total') &&
        line.contains('method="Telegraph.$method"') &&
        line.contains('code="$code"')) {
      sum += double.parse(line.substring(line.lastIndexOf(' ')));
    }
  }
  return sum;
}

/// Waits until the server has counted more such ends than [before].
Future<void> counted(String method, String code, double before) =>
    until(() async => await metric(method, code) > before, '$method $code');

/// Waits until [isSo]; fails after 8 s.
Future<void> until(FutureOr<bool> Function() isSo, String what) async {
  final watch = Stopwatch()..start();
  while (!await isSo()) {
    check(watch.elapsed < const Duration(seconds: 8), 'not in time: $what');
    await Future<void>.delayed(const Duration(milliseconds: 20));
  }
}

/// How often the model ran a method, as the ledger says.
int runs(String what) =>
    ledger.existsSync()
        ? ledger
            .readAsLinesSync()
            .where((line) => line.startsWith('$what '))
            .length
        : 0;

/// Some bytes, none like the next.
Uint8List someBytes(int count) =>
    Uint8List.fromList([for (var i = 0; i < count; i++) i * 7 & 0xff]);
