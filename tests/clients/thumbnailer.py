"""thumbnailer.py FILE TYPE: has gnome-desktop make a thumbnail of FILE; prints its width
and height and then the comment in it."""
import sys

import gi

gi.require_version("GnomeDesktop", "3.0")
from gi.repository import Gio, GnomeDesktop

factory = GnomeDesktop.DesktopThumbnailFactory.new(GnomeDesktop.DesktopThumbnailSize.NORMAL)
uri = Gio.File.new_for_path(sys.argv[1]).get_uri()
picture = factory.generate_thumbnail(uri, sys.argv[2], None)
print(picture.get_width(), picture.get_height())
print(picture.get_option("tEXt::Comment"))
