/// All that the controllers and the configuration need of Flutter.
library;

export 'package:flutter/foundation.dart'
    show
        ChangeNotifier,
        TargetPlatform,
        defaultTargetPlatform,
        kIsWeb,
        kReleaseMode;
