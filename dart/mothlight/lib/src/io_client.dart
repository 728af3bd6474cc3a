import 'dart:io';

/// A client that gives up on a host that does not answer.
HttpClient newHttpClient() =>
    HttpClient()
      ..connectionTimeout = const Duration(seconds: 10)
      // Servers keep idle connections for 75 s: what they are about to close
      // must not be used.
      ..idleTimeout = const Duration(seconds: 60);
