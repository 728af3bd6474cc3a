import 'dart:async';

import 'package:flutter_test/flutter_test.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight_app/call_controller.dart';
import 'package:mothlight_app/config.dart';
import 'package:mothlight_app/foundation.dart';
import 'package:mothlight_app/live_controller.dart';

void main() {
  test('the newest call wins', () async {
    final controller = CallController<int>();
    final older = Completer<int>();
    CancelToken? token;
    unawaited(
      controller.run((options) {
        token = options.cancel;
        return older.future;
      }),
    );
    await controller.run((options) async => 2);
    older.complete(1);
    await Future<void>.delayed(Duration.zero);
    expect(token?.isCancelled, isTrue);
    expect(controller.latest, 2);
    expect(controller.phase, isA<Done<int>>());
    controller.dispose();
  });

  test('an upload shows how far it is, and can be stopped', () async {
    final controller = CallController<int>();
    final answer = Completer<int>();
    CallOptions? given;
    final call = controller.run((options) {
      given = options;
      return answer.future;
    });
    given?.onSendProgress?.call(1, 4);
    expect((controller.phase as Running<int>).sent, 0.25);
    controller.cancel();
    expect(given?.cancel?.isCancelled, isTrue);
    expect(controller.phase, isA<Idle<int>>());
    answer.completeError(const CancelledException());
    await call;
    expect(controller.phase, isA<Idle<int>>());
    controller.dispose();
  });

  test('a call that the server gave up is an error', () async {
    final call = CallController<int>();
    await call.run((options) async => throw const CancelledException());
    expect(call.phase, isA<Failed<int>>());
    call.dispose();
    final live =
        LiveController<int>()
          ..start((options) => Stream.error(const CancelledException()));
    await Future<void>.delayed(Duration.zero);
    expect(live.error, isA<CancelledException>());
    live.dispose();
  });

  test('a stream keeps its last items and ends with its screen', () async {
    var stopped = false;
    final items = StreamController<int>(onCancel: () => stopped = true);
    final controller = LiveController<int>(capacity: 2);
    CallOptions? given;
    controller.start((options) {
      given = options;
      return items.stream;
    });
    given?.onState?.call(StreamState.resuming);
    expect(controller.connection, StreamState.resuming);
    [1, 2, 3].forEach(items.add);
    await Future<void>.delayed(Duration.zero);
    expect(controller.items, [2, 3]);
    expect(controller.count, 3);
    controller.dispose();
    expect(stopped, isTrue);
  });

  test('the server is where the platform sees it', () {
    Uri url(TargetPlatform platform, {String given = ''}) => serverUrlOf(
      given: given,
      isWeb: false,
      isRelease: false,
      platform: platform,
      page: Uri(),
    );
    expect('${url(TargetPlatform.android)}', 'http://10.0.2.2:8000');
    expect('${url(TargetPlatform.iOS)}', 'http://127.0.0.1:8000');
    expect(
      '${url(TargetPlatform.android, given: 'https://api.example.com/v1')}',
      'https://api.example.com/v1',
    );
    expect(
      () => url(TargetPlatform.iOS, given: 'example.com:8000'),
      throwsFormatException,
    );
  });

  test('a release build speaks https only', () {
    Uri url(TargetPlatform platform, String given, {bool isWeb = false}) =>
        serverUrlOf(
          given: given,
          isWeb: isWeb,
          isRelease: true,
          platform: platform,
          page: Uri.parse('https://example.com/app'),
        );
    const android = TargetPlatform.android;
    const http = 'http://192.168.1.20:8000';
    expect('${url(android, 'https://example.com')}', 'https://example.com');
    expect(() => url(android, http), throwsFormatException);
    expect(() => url(TargetPlatform.macOS, http), throwsFormatException);
    expect(() => url(android, ''), throwsFormatException);
    expect(() => url(TargetPlatform.iOS, ''), throwsFormatException);
    // What is sent to this machine itself, nobody else hears.
    expect('${url(android, 'http://127.0.0.1:8000')}', 'http://127.0.0.1:8000');
    expect('${url(TargetPlatform.macOS, '')}', 'http://127.0.0.1:8000');
    expect('${url(android, '', isWeb: true)}', 'https://example.com');
    expect('${url(android, http, isWeb: true)}', http);
  });
}
