// SVG (SVG 2, chapter "Scripting and interactivity"): what runs when a drawing is shown.
#include "scanner/core/path_kind.hpp"
#include "scanner/formats/xml/rules.hpp"

#include <algorithm>

namespace hubgate::xml {
namespace {

std::string folded_start(std::string_view value) {
  // Browsers drop white space and control characters inside of the scheme.
  std::string out;
  for (const char c: value) {
    if (out.size() >= 64) break;
    if (static_cast<unsigned char>(c) <= 0x20) continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return out;
}

bool is_script_address(std::string_view value) {
  const std::string start = folded_start(value);
  return start.starts_with("javascript:") || start.starts_with("vbscript:") ||
         start.starts_with("data:text/html") || start.starts_with("data:text/javascript") ||
         start.starts_with("data:application/javascript") ||
         start.starts_with("data:application/xhtml") || start.starts_with("data:image/svg+xml");
}

class Svg final : public Vocabulary {
public:
  void on(Event event, const MarkupReader& reader, Held& held) override {
    if (event == Event::start) start(reader, held);
  }
  void finish(Held&) override {}

private:
  static void start(const MarkupReader& reader, Held& held);
};

void Svg::start(const MarkupReader& reader, Held& held) {
  const std::string_view name = reader.local_name();
  const std::string tag = "<" + reader.name();
  if (name == "script") {
    const std::string* type = reader.attribute("type");
    // Data blocks of some editors; no browser runs them.
    if (type == nullptr || type->find("json") == std::string::npos)
      held.find(k_svg_script, reader.offset(), tag + ">");
  }
  if (name == "iframe" || name == "embed" || name == "object")
    held.find(k_svg_script, reader.offset(), tag + "> inside of a drawing");
  for (const Attribute& item: reader.attributes()) {
    const std::size_t colon = item.name.rfind(':');
    const std::string_view local =
        std::string_view(item.name).substr(colon == std::string::npos ? 0 : colon + 1);
    const bool handler =
        item.name.size() > 4 && (item.name.starts_with("on") || item.name.starts_with("ON"));
    if (handler && item.value.find_first_not_of(" \t\r\n") != std::string::npos)
      held.find(k_svg_script, reader.offset(),
                tag + " " + item.name + "=\"" + item.value.substr(0, 200) + "\">");
    const bool address = local == "href" || local == "src" || local == "to" || local == "from" ||
                         local == "values" || local == "data";
    if (!address) continue;
    // A drawing that is shown as an image runs nothing, whatever is in it.
    const bool image = (name == "image" || name == "feImage") &&
                       folded_start(item.value).starts_with("data:image/svg+xml");
    if (is_script_address(item.value) && !image)
      held.find(k_svg_script, reader.offset(),
                tag + " " + item.name + "=\"" + item.value.substr(0, 200) + "\">");
    else if (name != "a" && path_kind(item.value) == PathKind::url &&
             folded_start(item.value).starts_with("file:"))
      held.find(k_outside, reader.offset(), tag + " " + item.name + "=\"" + item.value + "\">");
  }
}

} // namespace

std::unique_ptr<Vocabulary> make_svg() {
  return std::make_unique<Svg>();
}

} // namespace hubgate::xml
