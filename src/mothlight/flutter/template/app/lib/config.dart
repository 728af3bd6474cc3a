import 'foundation.dart';

/// The port of `mothlight serve`, as in mothlight.toml.
const int serverPort = 8000;

/// Where the server is: `--dart-define=MOTHLIGHT_URL=…`, or this machine.
Uri get serverUrl => serverUrlOf(
  given: const String.fromEnvironment('MOTHLIGHT_URL'),
  isWeb: kIsWeb,
  isRelease: kReleaseMode,
  platform: defaultTargetPlatform,
  page: Uri.base,
);

/// What [serverUrl] is on a platform; [given] goes before all. A phone on a
/// cable reaches this machine after `adb reverse tcp:8000 tcp:8000` with
/// `MOTHLIGHT_URL=http://127.0.0.1:8000`. Throws [FormatException] when [given]
/// is no address, and when a release build would send what it sends in the
/// clear: the sockets of dart:io, which `PackageHttpAdapter()` uses, do not ask
/// what Android and iOS allow. Browsers have rules of their own.
Uri serverUrlOf({
  required String given,
  required bool isWeb,
  required bool isRelease,
  required TargetPlatform platform,
  required Uri page,
}) {
  if (given.isNotEmpty) {
    final url = Uri.parse(given);
    if (!(url.isScheme('http') || url.isScheme('https')) || url.host.isEmpty) {
      throw FormatException('MOTHLIGHT_URL is no http:// address', given);
    }
    if (isRelease && !isWeb && url.isScheme('http') && !_isLoopback(url.host)) {
      throw FormatException(
        'a release build speaks https only: set MOTHLIGHT_URL=https://… (or '
        'build with --profile)',
        given,
      );
    }
    return url;
  }
  if (isWeb && isRelease) return Uri.parse(page.origin);
  final host = switch (platform) {
    // `flutter run -d chrome` serves the page from this machine too.
    _ when isWeb && page.host.isNotEmpty && page.host != 'localhost' =>
      page.host,
    TargetPlatform.android || TargetPlatform.iOS when isRelease =>
      throw const FormatException(
        'a release build has to know its server: build it with '
        '--dart-define=MOTHLIGHT_URL=https://…',
      ),
    // The emulator's own 127.0.0.1 is the emulator.
    TargetPlatform.android when !isWeb => '10.0.2.2',
    // Not localhost, which may be ::1 first.
    _ => '127.0.0.1',
  };
  return Uri(scheme: 'http', host: host, port: serverPort);
}

bool _isLoopback(String host) =>
    const {'localhost', '127.0.0.1', '::1'}.contains(host);
