/// Stands in for Flutter where there is none, so that the template's widgets
/// can be compiled: the signatures that they use, as Flutter 3.44 has them.
library;

import 'foundation.dart';
import 'widgets.dart';

class ColorScheme {
  ColorScheme.fromSeed({
    required Color seedColor,
    Brightness brightness = Brightness.light,
  });
  Color get errorContainer => throw '';
  Color get onErrorContainer => throw '';
  Color get error => throw '';
}

class TextTheme {
  TextStyle? get bodySmall => null;
}

class InputBorder {
  const InputBorder();
}

class OutlineInputBorder extends InputBorder {
  const OutlineInputBorder();
}

class InputDecorationTheme {
  const InputDecorationTheme({InputBorder? border});
}

class InputDecoration {
  const InputDecoration({String? labelText, String? hintText});
}

class ThemeData {
  factory ThemeData({ColorScheme? colorScheme, Object? inputDecorationTheme}) =>
      throw '';
  ColorScheme get colorScheme => throw '';
  TextTheme get textTheme => throw '';
}

class Theme {
  static ThemeData of(BuildContext c) => throw '';
}

class MaterialApp extends StatefulWidget {
  const MaterialApp({
    super.key,
    Widget? home,
    String? title,
    ThemeData? theme,
    ThemeData? darkTheme,
  });
  State<MaterialApp> createState() => throw '';
}

class AppBar extends W implements PreferredSizeWidget {
  AppBar({super.key, Widget? title});
}

class Scaffold extends W {
  const Scaffold({
    super.key,
    PreferredSizeWidget? appBar,
    Widget? body,
    Widget? bottomNavigationBar,
  }) : super(child: body);
}

class NavigationBar extends W {
  NavigationBar({
    super.key,
    int selectedIndex = 0,
    required List<Widget> destinations,
    ValueChanged<int>? onDestinationSelected,
  });
}

class NavigationDestination extends W {
  const NavigationDestination({
    super.key,
    required Widget icon,
    required String label,
  });
}

class NavigationRail extends W {
  const NavigationRail({
    super.key,
    required List<NavigationRailDestination> destinations,
    required int? selectedIndex,
    ValueChanged<int>? onDestinationSelected,
    NavigationRailLabelType? labelType,
  });
}

class NavigationRailDestination {
  const NavigationRailDestination({
    required Widget icon,
    required Widget label,
  });
}

class VerticalDivider extends W {
  const VerticalDivider({super.key, double? width});
}

class LinearProgressIndicator extends W {
  const LinearProgressIndicator({
    super.key,
    double? value,
    double? minHeight,
    String? semanticsLabel,
    BorderRadiusGeometry? borderRadius,
  });
}

class Card extends W {
  const Card.filled({
    super.key,
    Color? color,
    EdgeInsetsGeometry? margin,
    Widget? child,
  });
}

class Chip extends W {
  const Chip({super.key, Widget? avatar, required Widget label});
}

class FilledButton extends W {
  FilledButton.icon({
    super.key,
    required VoidCallback? onPressed,
    Widget? icon,
    required Widget label,
  });
  FilledButton.tonalIcon({
    super.key,
    required VoidCallback? onPressed,
    Widget? icon,
    required Widget label,
  });
}

class OutlinedButton extends W {
  OutlinedButton.icon({
    super.key,
    required VoidCallback? onPressed,
    Widget? icon,
    required Widget label,
  });
}

class TextField extends W {
  const TextField({
    super.key,
    TextEditingController? controller,
    InputDecoration? decoration,
    int? maxLines = 1,
    int? minLines,
    int? maxLength,
    ValueChanged<String>? onChanged,
    TextCapitalization textCapitalization = TextCapitalization.none,
  });
}

class Icons {
  static const IconData bolt = IconData(0);
  static const IconData check = IconData(0);
  static const IconData close = IconData(0);
  static const IconData cloud_off = IconData(0);
  static const IconData cloud_sync = IconData(0);
  static const IconData edit_off_outlined = IconData(0);
  static const IconData error_outline = IconData(0);
  static const IconData hourglass_empty = IconData(0);
  static const IconData lock_outline = IconData(0);
  static const IconData notes = IconData(0);
  static const IconData pause = IconData(0);
  static const IconData photo_camera_outlined = IconData(0);
  static const IconData photo_library_outlined = IconData(0);
  static const IconData play_arrow = IconData(0);
  static const IconData refresh = IconData(0);
  static const IconData short_text = IconData(0);
  static const IconData stop = IconData(0);
  static const IconData stop_circle_outlined = IconData(0);
  static const IconData stream = IconData(0);
  static const IconData sync = IconData(0);
  static const IconData timer_off_outlined = IconData(0);
  static const IconData translate = IconData(0);
  static const IconData update = IconData(0);
}
