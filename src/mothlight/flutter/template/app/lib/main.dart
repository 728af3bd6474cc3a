import 'package:flutter/material.dart';
import 'package:image_picker/image_picker.dart';
import 'package:mothlight/http.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight_app_api/mothlight_app_api.dart';

import 'app.dart';
import 'config.dart';

void main() {
  WidgetsFlutterBinding.ensureInitialized();
  final transport = Transport(serverUrl, adapter: PackageHttpAdapter());
  // Streams are parked while the app is in the background, and go on where
  // they were; `inactive` (a call, the task switcher) is not the background.
  AppLifecycleListener(
    onPause: transport.pause,
    onRestart: transport.resume,
    // An engine that outlives its screen comes back without a restart.
    onResume: transport.resume,
  );
  runApp(App(api: ModelsClient(transport), picker: ImagePicker()));
}
