import 'http_adapter.dart';

/// An adapter that may know when a body has left.
abstract interface class StreamingAdapter implements HttpAdapter {
  /// Whether a body is taken as it leaves, as dart:io does it. Browsers take it
  /// at once, and send it afterwards.
  bool get streamsBodies;
}
