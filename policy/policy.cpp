#include "policy/policy.hpp"

#include "policy/model.hpp"
#include "policy/yara_rules.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/word_table.hpp"

#include <array>
#include <utility>

namespace hubgate {
namespace {

constexpr std::array<std::pair<Direction, std::string_view>, 2> k_directions{
    {{Direction::pull, "pull"}, {Direction::push, "push"}}};
constexpr std::array<std::pair<Road, std::string_view>, 6> k_roads{{{Road::hub, "hub"},
                                                                    {Road::lfs, "lfs"},
                                                                    {Road::git, "git"},
                                                                    {Road::xet, "xet"},
                                                                    {Road::hook, "hook"},
                                                                    {Road::scan, "scan"}}};
constexpr std::array<std::pair<Action, std::string_view>, 4> k_actions{
    {{Action::allow, "allow"},
     {Action::annotate, "annotate"},
     {Action::block, "block"},
     {Action::quarantine, "quarantine"}}};
constexpr std::array<std::pair<Mode, std::string_view>, 3> k_modes{
    {{Mode::enforce, "enforce"}, {Mode::audit, "audit"}, {Mode::off, "off"}}};

// A policy file larger than this is none.
constexpr std::uintmax_t k_file_max = std::uintmax_t{1} << 20;

} // namespace

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> out;
  for (const auto& preset: preset_texts())
    out.push_back(preset.name);
  return out;
}

Result<Policy> Policy::from_yaml(std::string_view text, std::string_view source,
                                 const std::filesystem::path& folder) {
  yaml::Document document = yaml::parse(text, source);
  auto model = std::make_shared<Model>(read_policy(document, source, folder));
  if (auto error = document.first_error()) return *error;
  std::string all(text);
  if (model->yara) all += '\0' + model->yara->digest;
  model->digest = hex(sha256(as_bytes(all)));
  return Policy(std::move(model));
}

std::vector<yaml::Problem> Policy::check(std::string_view text, std::string_view source,
                                         const std::filesystem::path& folder) {
  yaml::Document document = yaml::parse(text, source);
  read_policy(document, source, folder);
  return document.problems();
}

std::filesystem::path Policy::folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : ".";
}

Result<Policy> Policy::load(const std::filesystem::path& file) {
  return from_yaml(HUBGATE_TRY(yaml::read_file(file, k_file_max)), file.string(), folder_of(file));
}

Result<Policy> Policy::preset(std::string_view name) {
  for (const auto& preset: preset_texts())
    if (preset.name == name) return from_yaml(preset.yaml, name);
  return Error{"no preset is called '" + printable(name, 60) + "'"};
}

Result<Policy> Policy::named(std::string_view name_or_file) {
  if (name_or_file.empty()) return preset(preset_texts().front().name);
  for (const auto& preset_text: preset_texts())
    if (preset_text.name == name_or_file) return preset(name_or_file);
  std::error_code error;
  if (name_or_file.find_first_of("/.") == std::string_view::npos &&
      !std::filesystem::exists(name_or_file, error))
    return Error{"'" + printable(name_or_file, 60) +
                 "' is neither a preset (guarded, strict, audit) nor a file"};
  return load(name_or_file);
}

const std::string& Policy::name() const {
  return model_->name;
}
const std::string& Policy::digest() const {
  return model_->digest;
}
Mode Policy::mode() const {
  return model_->mode;
}
std::size_t Policy::rules() const {
  return model_->rules.size();
}
std::shared_ptr<const yara::Compiled> Policy::yara() const {
  return model_->yara;
}

std::string_view to_string(Direction value) {
  return name_of(k_directions, value);
}
std::string_view to_string(Road value) {
  return name_of(k_roads, value);
}
std::string_view to_string(Action value) {
  return name_of(k_actions, value);
}
std::string_view to_string(Mode value) {
  return name_of(k_modes, value);
}
std::optional<Direction> direction_from(std::string_view text) {
  return value_of<Direction>(k_directions, text);
}
std::optional<Road> road_from(std::string_view text) {
  return value_of<Road>(k_roads, text);
}
std::optional<Action> action_from(std::string_view text) {
  return value_of<Action>(k_actions, text);
}
std::optional<Mode> mode_from(std::string_view text) {
  return value_of<Mode>(k_modes, text);
}

} // namespace hubgate
