#pragma once
// The escapes of pickle's text opcodes. Internal to the pickle folder.
#include <string>
#include <string_view>

namespace hubgate::pickle {

/// Of a Python 2 string literal without its quotes (STRING): what codecs.escape_decode takes.
std::string unescape_string(std::string_view in);

/// Of a UNICODE line: raw-unicode-escape, Latin-1 with \uXXXX and \UXXXXXXXX. Gives UTF-8.
std::string unescape_raw_unicode(std::string_view in);

} // namespace hubgate::pickle
