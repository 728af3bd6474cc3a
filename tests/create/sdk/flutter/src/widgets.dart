/// Stands in for Flutter where there is none, so that the template's widgets
/// can be compiled: the signatures that they use, as Flutter 3.44 has them. What
/// shell.dart looks at works too: the widgets of a layout keep their children,
/// and [AppLifecycleListener] calls back as Flutter's does.
library;

import 'dart:typed_data';

import 'foundation.dart';

class Key {
  const Key(String s);
  const Key.empty();
}

class GlobalKey<T extends State<StatefulWidget>> extends Key {
  factory GlobalKey({String? debugLabel}) => GlobalKey.constructor();
  GlobalKey.constructor() : super.empty();
}

abstract class BuildContext {
  bool get mounted;
}

abstract class Widget {
  const Widget({this.key});
  final Key? key;
}

abstract class StatelessWidget extends Widget {
  const StatelessWidget({super.key});
  Widget build(BuildContext context);
}

abstract class StatefulWidget extends Widget {
  const StatefulWidget({super.key});
  State createState();
}

abstract class State<T extends StatefulWidget> {
  StatefulElement? _element;
  T get widget => _element!.widget as T;
  BuildContext get context => _element!;
  bool get mounted => true;
  void initState() {}
  void dispose() {}
  void setState(VoidCallback fn) {}
  Widget build(BuildContext context);
}

class StatefulElement implements BuildContext {
  StatefulElement(this.widget) : state = widget.createState() {
    state
      .._element = this
      ..initState();
  }
  final StatefulWidget widget;
  final State state;
  bool get mounted => true;
  Widget build() => state.build(this);
}

class W extends Widget {
  const W({super.key, this.child, this.children = const []});
  final Widget? child;
  final List<Widget> children;
}

abstract class PreferredSizeWidget implements Widget {}

class Color {
  const Color(int value);
}

enum Brightness { dark, light }

enum BoxFit { fill, contain, cover }

enum FontWeight { normal, bold }

enum TextCapitalization { words, sentences, characters, none }

enum CrossAxisAlignment { start, end, center, stretch, baseline }

enum WrapCrossAlignment { start, end, center }

enum NavigationRailLabelType { none, selected, all }

class Size {
  const Size(this.width, this.height);
  final double width, height;
}

class Radius {
  const Radius.circular(double r);
}

class BorderRadiusGeometry {
  const BorderRadiusGeometry();
}

class BorderRadius extends BorderRadiusGeometry {
  const BorderRadius.all(Radius r);
  BorderRadius.circular(double r);
}

class EdgeInsetsGeometry {
  const EdgeInsetsGeometry();
}

class EdgeInsets extends EdgeInsetsGeometry {
  const EdgeInsets.all(double v);
  const EdgeInsets.symmetric({double vertical = 0, double horizontal = 0});
  static const EdgeInsets zero = EdgeInsets.all(0);
}

class AlignmentGeometry {
  const AlignmentGeometry();
}

class Alignment extends AlignmentGeometry {
  const Alignment(double x, double y);
  static const Alignment topCenter = Alignment(0, -1), center = Alignment(0, 0);
}

class BoxConstraints {
  const BoxConstraints({
    double minWidth = 0,
    double maxWidth = double.infinity,
  });
}

class IconData {
  const IconData(int c);
}

class TextStyle {
  const TextStyle({Color? color, double? fontSize, FontWeight? fontWeight});
}

class Text extends W {
  const Text(String data, {super.key, TextStyle? style});
}

class SelectableText extends W {
  const SelectableText(String data, {super.key, TextStyle? style});
}

class Icon extends W {
  const Icon(IconData? icon, {super.key, Color? color});
}

class Padding extends W {
  const Padding({
    super.key,
    required EdgeInsetsGeometry padding,
    Widget? child,
  });
}

class Align extends W {
  const Align({
    super.key,
    AlignmentGeometry alignment = Alignment.center,
    Widget? child,
  });
}

class ConstrainedBox extends W {
  ConstrainedBox({
    super.key,
    required BoxConstraints constraints,
    Widget? child,
  });
}

class SingleChildScrollView extends W {
  const SingleChildScrollView({
    super.key,
    EdgeInsetsGeometry? padding,
    Widget? child,
  });
}

class Column extends W {
  const Column({
    super.key,
    CrossAxisAlignment crossAxisAlignment = CrossAxisAlignment.center,
    double spacing = 0.0,
    List<Widget> children = const <Widget>[],
  });
}

class Row extends W {
  const Row({super.key, double spacing = 0.0, super.children});
}

class Wrap extends W {
  const Wrap({
    super.key,
    double spacing = 0.0,
    double runSpacing = 0.0,
    WrapCrossAlignment crossAxisAlignment = WrapCrossAlignment.start,
    List<Widget> children = const <Widget>[],
  });
}

class Expanded extends W {
  const Expanded({super.key, int flex = 1, required Widget super.child});
}

class SafeArea extends W {
  const SafeArea({super.key, required Widget super.child});
}

class SizedBox extends W {
  const SizedBox({super.key, double? width, double? height, Widget? child});
  const SizedBox.shrink({super.key, Widget? child});
}

class IndexedStack extends W {
  const IndexedStack({super.key, int? index = 0, super.children});
}

class Semantics extends W {
  Semantics({
    super.key,
    Widget? child,
    bool container = false,
    bool? liveRegion,
    String? label,
  });
}

class MergeSemantics extends W {
  const MergeSemantics({super.key, Widget? child});
}

class ExcludeSemantics extends W {
  const ExcludeSemantics({super.key, bool excluding = true, Widget? child});
}

class ClipRRect extends W {
  const ClipRRect({
    super.key,
    BorderRadiusGeometry borderRadius = const BorderRadius.all(
      Radius.circular(0),
    ),
    Widget? child,
  });
}

typedef ImageErrorWidgetBuilder =
    Widget Function(BuildContext context, Object error, StackTrace? stackTrace);

class Image extends W {
  Image.memory(
    Uint8List bytes, {
    super.key,
    ImageErrorWidgetBuilder? errorBuilder,
    String? semanticLabel,
    double? width,
    double? height,
    BoxFit? fit,
  });
}

class DefaultTextStyle extends W {
  static Widget merge({Key? key, TextStyle? style, required Widget child}) =>
      child;
}

typedef TransitionBuilder =
    Widget Function(BuildContext context, Widget? child);

class ListenableBuilder extends W {
  const ListenableBuilder({
    super.key,
    required Listenable listenable,
    required TransitionBuilder builder,
    Widget? child,
  });
}

class AnimatedOpacity extends W {
  const AnimatedOpacity({
    super.key,
    Widget? child,
    required double opacity,
    required Duration duration,
  });
}

class FocusNode {
  void unfocus() {}
}

class FocusScope {
  static FocusNode of(BuildContext c) => FocusNode();
}

class MediaQuery {
  static Size testSize = const Size(0, 0);
  static Size sizeOf(BuildContext c) => testSize;
}

class TextEditingController extends ChangeNotifier {
  TextEditingController({String? text});
  String text = '';
}

enum AppLifecycleState { detached, resumed, inactive, hidden, paused }

class WidgetsBinding {
  static final WidgetsBinding instance = WidgetsBinding();
  final List<AppLifecycleListener> _observers = [];
  Widget? rootWidget;
  void addObserver(AppLifecycleListener observer) => _observers.add(observer);
  void handleAppLifecycleStateChanged(AppLifecycleState state) {
    for (final observer in _observers) {
      observer.didChangeAppLifecycleState(state);
    }
  }
}

class WidgetsFlutterBinding {
  static WidgetsBinding ensureInitialized() => WidgetsBinding.instance;
}

class AppLifecycleListener {
  AppLifecycleListener({
    WidgetsBinding? binding,
    this.onResume,
    this.onPause,
    this.onRestart,
  }) {
    (binding ?? WidgetsBinding.instance).addObserver(this);
  }
  final VoidCallback? onResume, onPause, onRestart;
  AppLifecycleState? _state;
  void didChangeAppLifecycleState(AppLifecycleState state) {
    final before = _state;
    if (state == before) return;
    _state = state;
    switch (state) {
      case AppLifecycleState.resumed:
        onResume?.call();
      case AppLifecycleState.hidden:
        if (before == AppLifecycleState.paused) onRestart?.call();
      case AppLifecycleState.paused:
        onPause?.call();
      case AppLifecycleState.inactive || AppLifecycleState.detached:
    }
  }
}

void runApp(Widget app) => WidgetsBinding.instance.rootWidget = app;

class PlatformException implements Exception {
  PlatformException({required this.code, this.message});
  final String code;
  final String? message;
}
