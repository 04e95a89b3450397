#include "scanner/config/yaml_json.hpp"

#include "scanner/config/yaml.hpp"
#include "scanner/core/json_text.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace hubgate::config {
namespace {

class Writer {
public:
  explicit Writer(std::size_t most) : most_(most) {}
  bool on(YamlEvent event, const YamlReader& reader);
  std::string take() { return std::move(out_); }
  bool is_complete() const { return levels_.empty() && !out_.empty(); }
  bool fits() const { return out_.size() <= most_; }

private:
  struct Level {
    bool list;
    bool at_key = true;
    bool first = true;
    std::string anchor = {};
    std::size_t begin = 0; ///< in out_
  };

  bool is_key() const { return !levels_.empty() && !levels_.back().list && levels_.back().at_key; }
  void before();
  void after();
  void text(std::string_view value) { append_json_text(out_, value); }
  void merge(std::string_view object);
  void remember(const std::string& anchor, std::size_t begin);
  void alias(const YamlReader& reader);

  std::size_t most_;
  std::string out_;
  std::vector<Level> levels_;
  std::map<std::string, std::string> anchors_;
  std::size_t remembered_ = 0; ///< bytes of them: collections inside of each other count each
  std::size_t skipping_ = 0;   ///< collections open inside a key that is one
  bool merging_ = false;       ///< the key was "<<"
  std::size_t merge_at_ = 0;   ///< where it was written
};

void Writer::before() {
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if ((level.list || level.at_key) && !level.first) out_ += ',';
  level.first = false;
}

// A key or a value was written.
void Writer::after() {
  if (levels_.empty() || levels_.back().list) return;
  Level& level = levels_.back();
  if (level.at_key) out_ += ':';
  level.at_key = !level.at_key;
}

void Writer::remember(const std::string& anchor, std::size_t begin) {
  remembered_ += out_.size() - begin;
  if (remembered_ <= most_) anchors_[anchor] = out_.substr(begin);
}

// "<<": the members of the map take the place of the key.
void Writer::merge(std::string_view object) {
  Level& level = levels_.back();
  out_.resize(merge_at_);
  level.at_key = true;
  const std::string_view members =
      object.size() > 2 ? object.substr(1, object.size() - 2) : std::string_view{};
  if (members.empty()) {
    level.first = out_.back() == '{';
    return;
  }
  if (out_.back() != '{') out_ += ',';
  out_ += members;
}

void Writer::alias(const YamlReader& reader) {
  const auto known = anchors_.find(reader.anchor());
  const bool map = known != anchors_.end() && known->second.starts_with('{');
  if (merging_ && map) {
    merge(known->second);
  } else if (is_key()) {
    before();
    text("*" + reader.anchor());
    after();
  } else {
    before();
    out_ += known == anchors_.end() ? "null" : known->second;
    after();
  }
  merging_ = false;
}

// False: the document is over.
bool Writer::on(YamlEvent event, const YamlReader& reader) {
  if (event == YamlEvent::end || event == YamlEvent::error) return false;
  if (skipping_ > 0) {
    if (event == YamlEvent::map_begin || event == YamlEvent::list_begin) ++skipping_;
    if ((event == YamlEvent::map_end || event == YamlEvent::list_end) && --skipping_ == 0) {
      before();
      text("?");
      after();
    }
    return true;
  }
  switch (event) {
  case YamlEvent::document_begin:
    return out_.empty();
  case YamlEvent::map_begin:
  case YamlEvent::list_begin: {
    if (is_key()) {
      skipping_ = 1;
      return true;
    }
    merging_ = false;
    before();
    const bool list = event == YamlEvent::list_begin;
    levels_.push_back({.list = list, .anchor = reader.anchor(), .begin = out_.size()});
    out_ += list ? '[' : '{';
    return true;
  }
  case YamlEvent::map_end:
  case YamlEvent::list_end: {
    if (levels_.empty()) return false;
    const Level level = std::move(levels_.back());
    levels_.pop_back();
    out_ += level.list ? ']' : '}';
    if (!level.anchor.empty()) remember(level.anchor, level.begin);
    after();
    return !levels_.empty();
  }
  case YamlEvent::scalar: {
    if (levels_.empty()) return false;
    const bool key = is_key();
    const std::size_t here = out_.size();
    before();
    const std::size_t begin = out_.size();
    text(reader.value());
    if (!reader.anchor().empty()) remember(reader.anchor(), begin);
    after();
    merging_ = key && reader.value() == "<<";
    if (merging_) merge_at_ = here;
    return true;
  }
  case YamlEvent::alias:
    if (!levels_.empty()) alias(reader);
    return true;
  case YamlEvent::document_end:
  case YamlEvent::end:
  case YamlEvent::error:
    return false;
  }
  return false;
}

} // namespace

std::optional<std::string> yaml_as_json(std::string_view text, std::size_t most) {
  YamlReader reader(text);
  Writer writer(most);
  while (writer.on(reader.next(), reader))
    if (!writer.fits()) return std::nullopt;
  if (!writer.is_complete() || !writer.fits()) return std::nullopt;
  return writer.take();
}

} // namespace hubgate::config
