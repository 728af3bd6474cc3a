import 'package:flutter/material.dart';
import 'package:image_picker/image_picker.dart';
import 'package:mothlight_app_api/mothlight_app_api.dart';

import 'screens/photo_screen.dart';
import 'screens/text_screen.dart';
import 'screens/write_screen.dart';

/// The app before an [api] and a [picker]: the real ones, or in tests fakes.
class App extends StatelessWidget {
  const App({required this.api, required this.picker, super.key});

  final ModelsApi api;
  final ImagePicker picker;

  @override
  Widget build(BuildContext context) => MaterialApp(
    title: 'Mothlight App',
    theme: _theme(Brightness.light),
    darkTheme: _theme(Brightness.dark),
    home: Home(api: api, picker: picker),
  );
}

ThemeData _theme(Brightness brightness) => ThemeData(
  colorScheme: ColorScheme.fromSeed(
    seedColor: const Color(0xFFE8850C),
    brightness: brightness,
  ),
  inputDecorationTheme: const InputDecorationTheme(
    border: OutlineInputBorder(),
  ),
);

/// The three screens: a bar below them on a phone, a rail beside them where
/// there is room.
class Home extends StatefulWidget {
  const Home({required this.api, required this.picker, super.key});

  final ModelsApi api;
  final ImagePicker picker;

  @override
  State<Home> createState() => _HomeState();
}

class _HomeState extends State<Home> {
  static const _places = [
    (icon: Icons.notes, label: 'Text'),
    (icon: Icons.photo_camera_outlined, label: 'Photo'),
    (icon: Icons.stream, label: 'Write'),
  ];

  // With it the screens move between the two layouts of [build] as they are:
  // without, a phone that is turned would lose its stream, photo and text.
  final _screens = GlobalKey();
  int _place = 0;

  void _go(int place) => setState(() => _place = place);

  @override
  Widget build(BuildContext context) {
    final isWide = MediaQuery.sizeOf(context).width >= 600;
    // All three stay alive: a stream goes on while another screen is shown.
    final screens = IndexedStack(
      key: _screens,
      index: _place,
      children: [
        TextScreen(api: widget.api),
        PhotoScreen(api: widget.api, picker: widget.picker),
        WriteScreen(api: widget.api),
      ],
    );
    return Scaffold(
      appBar: AppBar(title: Text(_places[_place].label)),
      body: SafeArea(
        child:
            isWide
                ? Row(
                  children: [
                    NavigationRail(
                      selectedIndex: _place,
                      onDestinationSelected: _go,
                      labelType: NavigationRailLabelType.all,
                      destinations: [
                        for (final (:icon, :label) in _places)
                          NavigationRailDestination(
                            icon: Icon(icon),
                            label: Text(label),
                          ),
                      ],
                    ),
                    const VerticalDivider(width: 1),
                    Expanded(child: screens),
                  ],
                )
                : screens,
      ),
      bottomNavigationBar:
          isWide
              ? null
              : NavigationBar(
                selectedIndex: _place,
                onDestinationSelected: _go,
                destinations: [
                  for (final (:icon, :label) in _places)
                    NavigationDestination(icon: Icon(icon), label: label),
                ],
              ),
    );
  }
}
