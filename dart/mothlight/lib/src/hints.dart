import 'answer.dart';

/// What a call says that could not be sent, since nobody knew who calls.
const String noToken = 'no token could be had';

/// What a developer may do about a connection to [url] that failed with
/// [reason], the platform's own words.
String hintFor(Uri url, String reason) {
  final text = reason.toLowerCase();
  bool says(List<String> words) => words.any(text.contains);
  if (reason.startsWith(noToken)) {
    return "look into what the Transport's token source throws; where nobody "
        'is signed in, let it return null';
  }
  if (says(const ['operation not permitted', 'errno = 1)'])) {
    return _macOs;
  }
  if (says(const ['app transport security', '-1022'])) return _iosCleartext;
  if (says(const ['cleartext'])) return _androidCleartext;
  if (says(const [
    'failed to fetch', // Chrome
    'networkerror when attempting', // Firefox
    'load failed', // Safari
    'xmlhttprequest error',
  ])) {
    return _browser(url);
  }
  if (says(const ['failed to connect websocket'])) return _browserSocket(url);
  if (says(const ['certificate_verify_failed', 'certificate'])) {
    return 'the certificate of ${url.host} is not trusted here; on a phone '
        'install the authority that signed it, or use http while developing';
  }
  if (says(const ['wrong_version_number', 'handshake'])) {
    return 'does the server speak https? If not, write '
        'http://${_authority(url)}';
  }
  if (says(const ['before full header', 'invalid response'])) {
    return url.scheme == 'http'
        ? 'the server closed the connection: look into its log, and whether '
            'it speaks https://${_authority(url)}'
        : 'the server closed the connection: look into its log';
  }
  if (says(const ['failed host lookup', 'name or service', 'nodename'])) {
    return _lookup(url);
  }
  if (says(const ['refused', 'errno = 111', 'errno = 61', 'errno = 10061'])) {
    return _refused(url);
  }
  if (says(const ['unreachable', 'no route', 'timed out', 'nothing came'])) {
    return _unreachable(url);
  }
  return 'look whether the server is up and ${_authority(url)} is right';
}

/// What a developer may do about an answer that is none of Mothlight's.
String hintForAnswer(Uri url, Answer answer) => switch (answer.status) {
  400 when url.scheme == 'http' && answer.start.contains('HTTPS') =>
    'the server speaks https: write https://${_authority(url)}',
  >= 300 && < 400 =>
    'the server sends elsewhere, to ${answer.headers['location'] ?? '?'}: '
        'use that address',
  404 || 405 =>
    'another server listens at ${_authority(url)}, or the address lacks the '
        'path where the app is mounted',
  401 || 403 => 'a proxy before the server wants to know who calls',
  413 => 'a proxy before the server allows no body of this size',
  502 || 503 || 504 => 'a proxy cannot reach the server: look whether it is up',
  >= 200 && < 300 when answer.mediaType == 'text/html' =>
    'a page came: of a network that wants a login, or of a web server at '
        '${_authority(url)}',
  _ => 'look what listens at ${_authority(url)}',
};

/// What a developer may do about the server's own error of this [type].
String? hintForProblem(String type) => switch (type) {
  'PayloadTooLarge' =>
    'let the picker reduce it: maxWidth, maxHeight and imageQuality stand in '
        'the …Limits of the package',
  _ => null,
};

/// What a developer may do about a contract that has changed.
String contractHint(String command) =>
    'the server has another version of the service; make the package anew: '
    '$command';

/// What happened to a call that the server has cancelled and this side has not.
const String cancelledThere =
    'cancelled on the server: nobody was connected to it for its grace '
    '(usually 30 s), or another client stopped it';

/// What a developer may do about a stream that the server has forgotten.
const String forgottenHint =
    'the server gives a call up when nobody was connected to it for its grace '
    '(usually 30 s), forgets it some minutes later, and at once when it is '
    'started anew: begin the call again';

/// Whether [host] is this machine, or this phone.
bool isLoopback(String host) =>
    host == 'localhost' ||
    host.endsWith('.localhost') ||
    host == '::1' ||
    RegExp(r'^127(\.\d{1,3}){3}$').hasMatch(host);

/// Whether [host] is an address of a local network (RFC 1918, 3927, 6762).
bool isLocalNetwork(String host) =>
    host.endsWith('.local') ||
    RegExp(
      r'^(10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))(\.\d{1,3})+$',
    ).hasMatch(host);

/// The address of the host machine in Android's emulator.
const String _emulatorHost = '10.0.2.2';

String _authority(Uri url) =>
    url.hasPort ? '${url.host}:${url.port}' : url.host;

String _refused(Uri url) {
  final port = url.port;
  if (isLoopback(url.host)) {
    return 'Android emulator and ${url.host}? Use $_emulatorHost or '
        '`adb reverse tcp:$port tcp:$port`. Else start the server '
        '(mothlight serve module:Service --port $port), or check the port';
  }
  if (url.host == _emulatorHost) {
    return 'start the server on this machine, on port $port; '
        '$_emulatorHost is it for the Android emulator alone';
  }
  if (isLocalNetwork(url.host)) {
    return 'the server may listen on 127.0.0.1 only: start it with '
        '--host 0.0.0.0; or check the port';
  }
  return 'start the server (mothlight serve module:Service), or check host '
      'and port';
}

String _unreachable(Uri url) {
  if (url.host == _emulatorHost) {
    return '$_emulatorHost is the host machine for the Android emulator '
        'alone: elsewhere use 127.0.0.1, on a device the machine\'s address '
        'in the network; and Android 17 wants ACCESS_LOCAL_NETWORK for it, '
        'on some emulators';
  }
  if (isLoopback(url.host)) {
    return 'look whether the server is up, and not stopped in a debugger';
  }
  if (isLocalNetwork(url.host)) {
    return 'are both in the same Wi-Fi, does a firewall let port ${url.port} '
        'in, and may the app use the local network? iOS asks for it '
        '(NSLocalNetworkUsageDescription), and Android from 17 on '
        '(ACCESS_LOCAL_NETWORK)';
  }
  return 'look whether this device has a network, and ${_authority(url)} is '
      'right';
}

String _lookup(Uri url) =>
    'check the name ${url.host}, and whether this device has a network; '
    'Android: has the main manifest the INTERNET permission?';

String _browser(Uri url) =>
    'the server is down, or its CORS settings do not allow this page (start '
    'it with --cors), or a page of https calls http: the browser hides which, '
    'its console (F12) tells. Look at $url';

// Only said where HTTP to the same server does what it should.
String _browserSocket(Uri url) =>
    'the server answers by HTTP, but opens no WebSocket: does a proxy before '
    'it pass them on (Upgrade), and does the setting cors name the origin of '
    'this page? The console of the browser (F12) tells more. Look at $url';

const String _macOs =
    'macOS: add com.apple.security.network.client to both files of '
    'entitlements (DebugProfile and Release). iOS: allow the local network in '
    'the settings of the app';

const String _iosCleartext =
    'iOS blocks http: set NSAllowsLocalNetworking in Info.plist (while '
    'developing), or use https';

const String _androidCleartext =
    'Android blocks http: name the host in network_security_config.xml (of the '
    'debug build), or use https';
