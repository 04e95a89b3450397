#include "scanner/code/python/identifier.hpp"

#include <array>
#include <cstdint>
#include <utility>

namespace hubgate::python {
namespace {

// Unicode 15, compatibility decompositions of single letters outside of the regular ranges.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 92> k_letters{{
    {0xaa, "a"},   {0xba, "o"},   {0x17f, "s"},  {0x2b0, "h"},  {0x2b2, "j"},  {0x2b3, "r"},
    {0x2b7, "w"},  {0x2b8, "y"},  {0x2e1, "l"},  {0x2e2, "s"},  {0x2e3, "x"},  {0x1d2c, "A"},
    {0x1d2e, "B"}, {0x1d30, "D"}, {0x1d31, "E"}, {0x1d33, "G"}, {0x1d34, "H"}, {0x1d35, "I"},
    {0x1d36, "J"}, {0x1d37, "K"}, {0x1d38, "L"}, {0x1d39, "M"}, {0x1d3a, "N"}, {0x1d3c, "O"},
    {0x1d3e, "P"}, {0x1d3f, "R"}, {0x1d40, "T"}, {0x1d41, "U"}, {0x1d42, "W"}, {0x1d43, "a"},
    {0x1d47, "b"}, {0x1d48, "d"}, {0x1d49, "e"}, {0x1d4d, "g"}, {0x1d4f, "k"}, {0x1d50, "m"},
    {0x1d52, "o"}, {0x1d56, "p"}, {0x1d57, "t"}, {0x1d58, "u"}, {0x1d5b, "v"}, {0x1d62, "i"},
    {0x1d63, "r"}, {0x1d64, "u"}, {0x1d65, "v"}, {0x1d9c, "c"}, {0x1da0, "f"}, {0x1dbb, "z"},
    {0x2071, "i"}, {0x207f, "n"}, {0x2090, "a"}, {0x2091, "e"}, {0x2092, "o"}, {0x2093, "x"},
    {0x2095, "h"}, {0x2096, "k"}, {0x2097, "l"}, {0x2098, "m"}, {0x2099, "n"}, {0x209a, "p"},
    {0x209b, "s"}, {0x209c, "t"}, {0x2102, "C"}, {0x210a, "g"}, {0x210b, "H"}, {0x210c, "H"},
    {0x210d, "H"}, {0x210e, "h"}, {0x2110, "I"}, {0x2111, "I"}, {0x2112, "L"}, {0x2113, "l"},
    {0x2115, "N"}, {0x2119, "P"}, {0x211a, "Q"}, {0x211b, "R"}, {0x211c, "R"}, {0x211d, "R"},
    {0x2124, "Z"}, {0x2128, "Z"}, {0x212a, "K"}, {0x212c, "B"}, {0x212d, "C"}, {0x212f, "e"},
    {0x2130, "E"}, {0x2131, "F"}, {0x2133, "M"}, {0x2134, "o"}, {0x2139, "i"}, {0x2145, "D"},
    {0x2146, "d"}, {0x2147, "e"},
}};

std::string_view letter(std::uint32_t c, std::string& buffer) {
  const auto one = [&](std::uint32_t ascii) {
    buffer.assign(1, static_cast<char>(ascii));
    return std::string_view(buffer);
  };
  if (c >= 0xff21 && c <= 0xff3a) return one('A' + c - 0xff21);
  if (c >= 0xff41 && c <= 0xff5a) return one('a' + c - 0xff41);
  if (c >= 0xff10 && c <= 0xff19) return one('0' + c - 0xff10);
  if (c == 0xff3f || c == 0xfe33 || c == 0xfe34 || (c >= 0xfe4d && c <= 0xfe4f)) return one('_');
  // Mathematical alphabets: 13 of 52 letters each; what is missing there stands in k_letters.
  if (c >= 0x1d400 && c < 0x1d400 + 13 * 52) {
    const std::uint32_t n = (c - 0x1d400) % 52;
    return one(n < 26 ? 'A' + n : 'a' + n - 26);
  }
  if (c >= 0x1d7ce && c <= 0x1d7ff) return one('0' + (c - 0x1d7ce) % 10);
  if (c == 0x2148) return one('i');
  if (c == 0x2149) return one('j');
  if (c == 0xfb00) return "ff";
  if (c == 0xfb01) return "fi";
  if (c == 0xfb02) return "fl";
  if (c == 0xfb03) return "ffi";
  if (c == 0xfb04) return "ffl";
  if (c == 0xfb05 || c == 0xfb06) return "st";
  for (const auto& [point, ascii]: k_letters)
    if (point == c) return ascii;
  return {};
}

} // namespace

std::string normalised(std::string_view name) {
  std::string out;
  std::string buffer;
  for (std::size_t i = 0; i < name.size();) {
    const auto first = static_cast<unsigned char>(name[i]);
    const std::size_t n = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (n == 1 || i + n > name.size()) {
      out += name[i++];
      continue;
    }
    std::uint32_t c = first & (0xffU >> (n + 1));
    for (std::size_t k = 1; k < n; ++k)
      c = (c << 6) | (static_cast<unsigned char>(name[i + k]) & 0x3f);
    const std::string_view plain = letter(c, buffer);
    if (plain.empty())
      out += name.substr(i, n);
    else
      out += plain;
    i += n;
  }
  return out;
}

} // namespace hubgate::python
