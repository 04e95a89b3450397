// What a package manager would install: requirements files, conda environments, pyproject.toml.
// Lines are read on their own; names decide which of the readings holds. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_max_text = std::size_t{4} << 20;
constexpr std::string_view k_names = "*requirements*.txt|*requirements*.in|*constraints*.txt|"
                                     "requirements/*.txt|*/requirements/*.txt|"
                                     "*conda*.yaml|*conda*.yml|*environment*.yaml|*environment*."
                                     "yml|*python_env.yaml|*pyproject.toml|"
                                     "*Pipfile|*setup.cfg|*uv.toml|*pip.conf";

constexpr std::array<Rule, 5> k_rules{{
    {"requirements-index", "reference", Severity::suspicious, Reach::load, "CWE-427",
     "AML.T0010.001", "CFG-019", "packages come from another index than the usual ones"},
    {"requirements-direct", "reference", Severity::suspicious, Reach::load, "CWE-494",
     "AML.T0010.001", "CFG-019", "a package comes straight from an address that anybody can own"},
    {"requirements-typosquat", "reference", Severity::suspicious, Reach::load, "CWE-506",
     "AML.T0010.001", "CFG-019", "a package whose name imitates a well-known one"},
    {"requirements-source", "reference", Severity::informational, Reach::load, "", "AML.T0010.001",
     "CFG-019", "a package comes from a repository or an address rather than from the index"},
    {"requirements-misnamed", "reference", Severity::informational, Reach::load, "",
     "AML.T0010.001", "CFG-019",
     "a name that people write by mistake for another package, or for a part of Python itself"},
}};

const Rule& k_index = k_rules[0];
const Rule& k_direct = k_rules[1];
const Rule& k_typosquat = k_rules[2];
const Rule& k_source = k_rules[3];
const Rule& k_misnamed = k_rules[4];

// Indexes that frameworks publish their own builds on.
constexpr std::array<std::string_view, 14> k_known_indexes{"https://pypi.org/simple",
                                                           "https://download.pytorch.org/",
                                                           "https://pypi.nvidia.com",
                                                           "https://pypi.ngc.nvidia.com",
                                                           "https://storage.googleapis.com/",
                                                           "https://data.pyg.org/",
                                                           "https://data.dgl.ai/",
                                                           "https://flashinfer.ai/",
                                                           "https://developer.download.nvidia.com/",
                                                           "https://pytorch-geometric.com/",
                                                           "https://huggingface.github.io/",
                                                           "https://abetlen.github.io/",
                                                           "https://wheels.vllm.ai/",
                                                           "https://repo.radeon.com/"};

// Names that were published to be mistaken, or are one slip away from what models need.
constexpr std::array<std::string_view, 35> k_squats{
    "reqeusts",    "requsts",      "requestss",        "requets",        "rquests",
    "torchtriton", "pytorchh",     "pytroch",          "torhc",          "trochvision",
    "tranformers", "transfomers",  "trasformers",      "hugginface-hub", "huggingfacehub",
    "numpi",       "nunpy",        "numppy",           "pandsa",         "panads",
    "tensorfow",   "tensorflw",    "tensorlow",        "tenserflow",     "skikit-learn",
    "sckit-learn", "scikit-leran", "python3-dateutil", "jeilyfish",      "beautifulsup4",
    "colourama",   "urlib3",       "opencv-pyton",     "matplotib",      "acelerate"};

// What honest people write, and mean something else by.
constexpr std::array<std::string_view, 6> k_misnomers{
    "request", "urllib", "diffuser", "transformer", "beautifulsoup", "huggingface-cli"};

bool starts(std::string_view line, std::string_view word) {
  return line.starts_with(word) &&
         (line.size() == word.size() || line[word.size()] == ' ' || line[word.size()] == '=');
}

std::string_view trimmed(std::string_view text) {
  static constexpr std::array<bool, 256> k_blank = [] {
    std::array<bool, 256> out{};
    for (const char c: std::string_view(" \t\r\"',[]"))
      out[static_cast<unsigned char>(c)] = true;
    return out;
  }();
  while (!text.empty() && k_blank[static_cast<unsigned char>(text.front())])
    text.remove_prefix(1);
  while (!text.empty() && k_blank[static_cast<unsigned char>(text.back())])
    text.remove_suffix(1);
  return text;
}

// How names begin, and how long they are: nearly all others are left at a glance.
using Shapes = std::array<std::uint32_t, 26>; ///< a bit for each length, by the first letter
constexpr std::size_t k_longest_squat = 31;

constexpr Shapes k_shapes = [] {
  Shapes out{};
  const auto add = [&out](const auto& names) {
    for (const std::string_view name: names)
      out[static_cast<std::size_t>(name[0] - 'a')] |= 1U << name.size();
  };
  add(k_squats);
  add(k_misnomers);
  return out;
}();

bool may_imitate(std::string_view name) {
  if (name.empty() || name.size() > k_longest_squat) return false;
  const auto letter = static_cast<unsigned char>((name[0] | 0x20) - 'a');
  return letter < k_shapes.size() && ((k_shapes[letter] >> name.size()) & 1U) != 0;
}

// Where a name ends; all that a name may be followed by.
std::size_t end_of_name(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && text[end] != ' ' && text[end] != '=' && text[end] != '<' &&
         text[end] != '>' && text[end] != '!' && text[end] != '~' && text[end] != '[' &&
         text[end] != ';')
    ++end;
  return end;
}

bool is_address(std::string_view url) {
  const std::size_t at = url.find("://");
  if (at == std::string_view::npos) return false;
  std::size_t end = at + 3;
  int dots = 0;
  while (end < url.size() && ((url[end] >= '0' && url[end] <= '9') || url[end] == '.'))
    dots += url[end++] == '.' ? 1 : 0;
  return dots == 3;
}

bool is_known_index(std::string_view url) {
  return std::any_of(k_known_indexes.begin(), k_known_indexes.end(),
                     [&](std::string_view known) { return url.starts_with(known); });
}

// The forges and hubs on which honest requirements live.
bool is_forge(std::string_view url) {
  static constexpr std::array<std::string_view, 8> k_forges{"https://github.com/",
                                                            "https://gitlab.com/",
                                                            "https://bitbucket.org/",
                                                            "https://huggingface.co/",
                                                            "https://download.pytorch.org/",
                                                            "https://files.pythonhosted.org/",
                                                            "https://storage.googleapis.com/",
                                                            "https://codeload.github.com/"};
  if (url.starts_with("git+")) url.remove_prefix(4);
  return std::any_of(k_forges.begin(), k_forges.end(),
                     [&](std::string_view forge) { return url.starts_with(forge); });
}

class Lines {
public:
  explicit Lines(Session& session) : session_(session) {}

  void line(std::string_view text, std::uint64_t offset);
  bool found() const { return found_; }

private:
  void find(const Rule& rule, std::string_view text, std::uint64_t offset) {
    found_ = true;
    session_.find(rule, offset, text.size(), text, {.condition = k_names});
  }
  void target(std::string_view url, std::string_view text, std::uint64_t offset);

  Session& session_;
  bool found_ = false;
};

void Lines::target(std::string_view url, std::string_view text, std::uint64_t offset) {
  session_.refer("url", offset, url, k_names);
  const bool plain = url.starts_with("http://") || url.starts_with("git+http://") ||
                     url.starts_with("git://") || is_address(url);
  find(!plain && is_forge(url) ? k_source : k_direct, text, offset);
}

void Lines::line(std::string_view raw, std::uint64_t offset) {
  std::string_view text = trimmed(raw);
  if (text.starts_with("- ")) text = trimmed(text.substr(2));
  if (text.empty() || text.front() == '#') return;
  if (const std::size_t comment = text.find(" #"); comment != std::string_view::npos)
    text = trimmed(text.substr(0, comment));

  static constexpr std::array<std::string_view, 8> k_options{
      "--index-url", "-i",        "--extra-index-url", "--find-links",
      "-f",          "index-url", "extra-index-url",   "index_url"};
  for (const std::string_view option: k_options) {
    if (option.front() != text.front()) continue;
    if (!starts(text, option)) continue;
    const std::string_view value = trimmed(text.substr(std::min(text.size(), option.size() + 1)));
    const std::size_t scheme = value.find("://");
    if (scheme == std::string_view::npos) return;
    const std::string_view url = value.substr(value.front() == '=' ? 1 : 0);
    find(is_known_index(trimmed(url)) ? k_source : k_index, text, offset);
    return;
  }
  if (starts(text, "--trusted-host")) {
    find(k_index, text, offset);
    return;
  }
  if (starts(text, "-e") || starts(text, "--editable"))
    text = trimmed(
        text.substr(text.find(' ') == std::string_view::npos ? text.size() : text.find(' ')));
  // name @ url, or the url alone
  const std::size_t at = text.find(" @ ");
  const std::string_view url = at == std::string_view::npos ? text : trimmed(text.substr(at + 3));
  static constexpr std::array<std::string_view, 9> k_schemes{
      "git+", "hg+", "svn+", "bzr+", "git://", "http://", "https://", "ftp://", "file:"};
  for (const std::string_view scheme: k_schemes) {
    if (url.empty() || url.front() != scheme.front() || !url.starts_with(scheme)) continue;
    const std::string_view path = url.substr(0, url.find(';'));
    const bool package = scheme != "http://" && scheme != "https://" && scheme != "ftp://";
    if (package || at != std::string_view::npos || path.find(".whl") != std::string_view::npos ||
        path.find(".tar.gz") != std::string_view::npos ||
        path.find(".zip") != std::string_view::npos)
      target(path, text, offset);
    return;
  }
  const std::size_t end = end_of_name(text);
  if (!may_imitate(text.substr(0, end))) return;
  std::string name(text.substr(0, end));
  for (char& c: name)
    c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  const bool rest_fits = end == text.size() || text.find_first_of("=<>!~[;", end) == end ||
                         text.find_first_of("=<>!~", end) == text.find_first_not_of(' ', end);
  if (!rest_fits) return;
  if (std::find(k_squats.begin(), k_squats.end(), name) != k_squats.end())
    find(k_typosquat, text, offset);
  else if (std::find(k_misnomers.begin(), k_misnomers.end(), name) != k_misnomers.end())
    find(k_misnamed, text, offset);
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  return !head.empty() && head.find('\0') == std::string_view::npos ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  std::string text;
  {
    const Bytes bytes = source.view(0, k_max_text);
    text = as_text(bytes);
  }
  const bool unread = text.size() == k_max_text;
  if (unread)
    session.gap(Reason::budget, Reach::load, k_max_text, "a list of packages of more than 4 MiB",
                k_names);
  Lines lines(session);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    // Lists in TOML may stand in one line.
    if (line.size() < 4096 && line.find('[') != std::string_view::npos &&
        line.find('"') != std::string_view::npos) {
      for (std::size_t from = line.find('"'); from != std::string_view::npos;) {
        const std::size_t close = line.find('"', from + 1);
        if (close == std::string_view::npos) break;
        lines.line(line.substr(from + 1, close - from - 1), at + from + 1);
        from = line.find('"', close + 1);
      }
    } else {
      // An option or a requirement stands at the beginning of its line.
      lines.line(line.substr(0, 4096), at);
    }
    at = end + 1;
  }
  return unread ? Reading::broken : lines.found() ? Reading::valid : Reading::none;
}

} // namespace

extern const Format format_requirements;
const Format format_requirements{.name = "requirements",
                                 .family = "text",
                                 .probe = probe,
                                 .scan = scan,
                                 .rules = k_rules,
                                 .weak = true};

} // namespace hubgate
