// PMML (dmg.org, 4.4): a model as XML. Evaluators of the JPMML family look a function that they
// don't know up as a Java class, and hand extensions to whoever registered for them.
#include "scanner/formats/xml/rules.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <set>

namespace hubgate::xml {
namespace {

// Packages whose classes do nothing for a model: what their names do in a function is never honest.
constexpr std::array<std::string_view, 9> k_dangerous_packages{
    "java.lang.",
    "java.io.",
    "java.net.",
    "java.nio.",
    "javax.script.",
    "javax.naming.",
    "java.util.concurrent.",
    "groovy.",
    "org.springframework.",
};

// The namespaces in which JPMML's converters name functions of their own libraries.
constexpr std::array<std::string_view, 6> k_converter_packages{
    "org.jpmml.", "com.jpmml.", "net.razorvine.", "sklearn2pmml.", "numpy.", "scipy.",
};

template <std::size_t N>
bool begins_with_one(const std::array<std::string_view, N>& list, std::string_view text) {
  return std::any_of(list.begin(), list.end(),
                     [&](std::string_view item) { return text.starts_with(item); });
}

// "a.b.Name": at least one dot between words.
bool is_class_name(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot == 0 || text.back() == '.') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '.';
  });
}

class Pmml final : public Vocabulary {
public:
  void on(Event event, const MarkupReader& reader, Held& held) override;
  void finish(Held& held) override;

private:
  struct Call {
    std::string name;
    std::uint64_t offset;
  };
  void extension(const MarkupReader& reader, Held& held);
  static void code(const MarkupReader& reader, Held& held, std::string_view text,
                   std::string_view what);

  static constexpr std::size_t k_max_calls = 4096;
  std::set<std::string> defined_;
  std::vector<Call> calls_;
  std::size_t extensions_ = 0; ///< open ones
};

void Pmml::code(const MarkupReader& reader, Held& held, std::string_view text,
                std::string_view what) {
  if (const auto hit = find_script(text))
    held.find(k_pmml_extension, reader.offset(),
              std::string(what) + " holds " + std::string(hit->what) + ": " +
                  std::string(text.substr(hit->offset, 200)));
}

void Pmml::extension(const MarkupReader& reader, Held& held) {
  for (const Attribute& item: reader.attributes()) {
    const bool names_class = item.name == "class" || item.name == "className" ||
                             item.name == "extender" || item.name == "classname";
    if (begins_with_one(k_dangerous_packages, item.value) && is_class_name(item.value))
      held.find(k_pmml_extension, reader.offset(),
                "<" + reader.name() + " " + item.name + "=\"" + item.value + "\">",
                Severity::malicious);
    else if (names_class && is_class_name(item.value) && item.name != "extender")
      held.find(k_pmml_extension, reader.offset(),
                "<" + reader.name() + " " + item.name + "=\"" + item.value + "\">");
    code(reader, held, item.value, "an extension");
  }
}

void Pmml::on(Event event, const MarkupReader& reader, Held& held) {
  const std::string_view name = reader.local_name();
  if (event == Event::end) {
    if (name == "Extension" && extensions_ > 0) --extensions_;
    return;
  }
  if (event == Event::text) {
    if (extensions_ > 0) code(reader, held, reader.text(), "an extension");
    return;
  }
  if (name == "Extension") {
    if (!reader.is_empty()) ++extensions_;
    extension(reader, held);
  } else if (extensions_ > 0 || name.starts_with("X-") || name.starts_with("Java")) {
    extension(reader, held);
  }
  if (name == "DefineFunction") {
    if (const std::string* given = reader.attribute("name"); given && defined_.size() < k_max_calls)
      defined_.insert(*given);
  } else if (name == "Apply" || name == "Aggregate") {
    const std::string* function = reader.attribute("function");
    if (function != nullptr && is_class_name(*function) && calls_.size() < k_max_calls)
      calls_.push_back({*function, reader.offset()});
  }
}

void Pmml::finish(Held& held) {
  for (const Call& call: calls_) {
    const bool dangerous = begins_with_one(k_dangerous_packages, call.name);
    if (!dangerous &&
        (defined_.contains(call.name) || begins_with_one(k_converter_packages, call.name)))
      continue;
    held.find(k_pmml_function, call.offset, "<Apply function=\"" + call.name + "\">",
              dangerous ? std::optional(Severity::malicious) : std::nullopt);
    held.refer("import", call.offset, call.name);
  }
}

} // namespace

std::unique_ptr<Vocabulary> make_pmml() {
  return std::make_unique<Pmml>();
}

} // namespace hubgate::xml
