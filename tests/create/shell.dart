/// The app's frame before stand-ins for Flutter (sdk/): its layouts, and its
/// life. main.dart stands beside this, with [adapter] for package:http's.
library;

import 'package:flutter/material.dart';
import 'package:image_picker/image_picker.dart';
import 'package:mothlight/testing.dart';
import 'package:my_app/app.dart';
import 'package:my_app_api/my_app_api.dart';
import 'package:my_app_api/testing.dart';

import 'main.dart' as app;

final ScriptedAdapter adapter =
    ScriptedAdapter()
      ..answer =
          (_) => Reply.events([
            {'text': 'a'},
          ]);

Future<void> main() async {
  turned();
  await woken();
  print('2 passed');
}

void check(bool holds, String what) => holds ? null : throw StateError(what);

/// What keeps the screens' states when their place in the tree changes is a
/// global key, and only the same one in both layouts.
void turned() {
  final home = StatefulElement(
    Home(api: FakeModelsApi(), picker: ImagePicker()),
  );
  Key? keyAt(double width) {
    MediaQuery.testSize = Size(width, 800);
    return screens(home.build())?.key;
  }

  final narrow = keyAt(400);
  check(narrow is GlobalKey, 'the screens have no global key');
  check(narrow == keyAt(1000), 'a wide layout has other screens');
}

IndexedStack? screens(Widget? widget) {
  if (widget is IndexedStack) return widget;
  if (widget is! W) return null;
  final below = [widget.child, ...widget.children].map(screens);
  return below.nonNulls.firstOrNull;
}

/// A stream that is opened after the background runs, by whichever way the app
/// came back.
Future<void> woken() async {
  app.main();
  const pause = [
    AppLifecycleState.inactive,
    AppLifecycleState.hidden,
    AppLifecycleState.paused,
  ];
  const restart = [AppLifecycleState.hidden, AppLifecycleState.inactive];
  const attach = [AppLifecycleState.detached];
  const resumed = AppLifecycleState.resumed;
  go([resumed]);
  check(await texts() == 'a', 'a fresh app');
  go([...pause, ...restart, resumed]);
  check(await texts() == 'a', 'after a restart');
  go([...pause, ...attach, resumed]);
  check(await texts() == 'a', 'another screen before the same engine');
  go(pause);
  check(await texts() == null, 'a stream runs in the background');
}

void go(List<AppLifecycleState> states) =>
    states.forEach(WidgetsBinding.instance.handleAppLifecycleStateChanged);

/// What a stream brings; null where it waits.
Future<String?> texts() => (WidgetsBinding.instance.rootWidget! as App).api
    .write(const Prompt(text: 'hm'))
    .map((token) => token.text)
    .join()
    .then<String?>((text) => text)
    .timeout(const Duration(seconds: 2), onTimeout: () => null);
