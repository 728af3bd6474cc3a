/// Stands in for Flutter where there is none, so that the template's widgets
/// can be compiled: the signatures that they use, as Flutter 3.44 has them.
library;

import 'dart:typed_data';

import 'foundation.dart';

class Key {
  const Key(String s);
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
  T get widget => throw '';
  BuildContext get context => throw '';
  bool get mounted => true;
  void initState() {}
  void dispose() {}
  void setState(VoidCallback fn) {}
  Widget build(BuildContext context);
}

class W extends Widget {
  const W({super.key});
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
  const Row({
    super.key,
    double spacing = 0.0,
    List<Widget> children = const <Widget>[],
  });
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
  const Expanded({super.key, int flex = 1, required Widget child});
}

class SafeArea extends W {
  const SafeArea({super.key, required Widget child});
}

class SizedBox extends W {
  const SizedBox({super.key, double? width, double? height, Widget? child});
  const SizedBox.shrink({super.key, Widget? child});
}

class IndexedStack extends W {
  const IndexedStack({
    super.key,
    int? index = 0,
    List<Widget> children = const <Widget>[],
  });
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
  static Size sizeOf(BuildContext c) => const Size(0, 0);
}

class TextEditingController extends ChangeNotifier {
  TextEditingController({String? text});
  String text = '';
}

class WidgetsBinding {}

class WidgetsFlutterBinding {
  static WidgetsBinding ensureInitialized() => WidgetsBinding();
}

class AppLifecycleListener {
  AppLifecycleListener({
    WidgetsBinding? binding,
    VoidCallback? onResume,
    VoidCallback? onPause,
    VoidCallback? onRestart,
  });
}

void runApp(Widget app) {}

class PlatformException implements Exception {
  PlatformException({required this.code, this.message});
  final String code;
  final String? message;
}
