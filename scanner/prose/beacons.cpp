#include "scanner/prose/prose.hpp"

#include <algorithm>

namespace hubgate::prose {
namespace {

// Hosts that only show who called: of Burp and interactsh, and bins that keep requests. A name of
// one's own stands before each.
constexpr std::array<std::string_view, 17> k_collectors{
    ".oast.pro",          ".oast.live",      ".oast.site",        ".oast.online",
    ".oast.fun",          ".oast.me",        ".oastify.com",      ".burpcollaborator.net",
    ".interact.sh",       ".interactsh.com", ".m.pipedream.net",  ".requestbin.net",
    ".dnslog.cn",         ".ceye.io",        ".canarytokens.com", ".bxss.me",
    ".requestcatcher.com"};
// And where the name is part of the path.
constexpr std::array<std::string_view, 3> k_bins{"webhook.site/", "canarytokens.com/",
                                                 "requestbin.com/r/"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool ends_address(char c) {
  return c == '"' || c == '\'' || c == ')' || c == '>' || c == '<' || c == ' ' || c == '\n' ||
         c == '\r' || c == '\t' || c == '`' || c == ']';
}

bool is_collector(std::string_view address) {
  std::string host(address.substr(0, 300));
  std::transform(host.begin(), host.end(), host.begin(), lower);
  if (std::any_of(k_bins.begin(), k_bins.end(),
                  [&](std::string_view bin) { return host.starts_with(bin); }))
    return host.find_first_of('/') + 8 < host.size(); // with somebody's number behind it
  host.resize(std::min(host.find_first_of("/?#:"), host.size()));
  host.erase(0, host.find('@') == std::string::npos ? 0 : host.find('@') + 1);
  return std::any_of(k_collectors.begin(), k_collectors.end(), [&](std::string_view collector) {
    return host.size() > collector.size() && host.ends_with(collector);
  });
}

// Whether what stands at `at` is fetched when the page is shown: `![…](` of Markdown, `src=`,
// `background=`, `poster=`, `data=`, `srcset=` of HTML, `url(` of CSS, `href=` of a <link>.
bool is_fetched(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && (text[begin - 1] == '"' || text[begin - 1] == '\'' ||
                       text[begin - 1] == ' ' || text[begin - 1] == '<'))
    --begin;
  if (begin == 0) return false;
  const char before = text[begin - 1];
  if (before == '(') {
    if (begin >= 4 && lower(text[begin - 2]) == 'l' && lower(text[begin - 3]) == 'r' &&
        lower(text[begin - 4]) == 'u')
      return true;
    if (begin < 2 || text[begin - 2] != ']') return false;
    const std::size_t open = text.rfind('[', begin - 2);
    return open != std::string_view::npos && open > 0 && begin - open < 500 &&
           text[open - 1] == '!';
  }
  if (before != '=') return false;
  std::size_t name = begin - 1;
  while (name > 0 && ((text[name - 1] >= 'a' && text[name - 1] <= 'z') ||
                      (text[name - 1] >= 'A' && text[name - 1] <= 'Z')))
    --name;
  std::string word(text.substr(name, begin - 1 - name));
  std::transform(word.begin(), word.end(), word.begin(), lower);
  if (word == "src" || word == "background" || word == "poster" || word == "data" ||
      word == "srcset")
    return true;
  const std::size_t tag = text.rfind('<', name);
  return word == "href" && tag != std::string_view::npos && name - tag < 300 &&
         tag + 5 < text.size() && lower(text[tag + 1]) == 'l' && lower(text[tag + 2]) == 'i' &&
         lower(text[tag + 3]) == 'n' && lower(text[tag + 4]) == 'k';
}

} // namespace

std::optional<Beacon> find_beacon(std::string_view text, std::size_t from) {
  // "//host" with or without a scheme in front.
  for (std::size_t at = text.find("//", from); at != std::string_view::npos;
       at = text.find("//", at + 2)) {
    std::size_t end = at + 2;
    while (end < text.size() && end - at < 400 && !ends_address(text[end]))
      ++end;
    if (!is_collector(text.substr(at + 2, end - at - 2))) continue;
    std::size_t begin = at;
    if (begin > 0 && text[begin - 1] == ':')
      while (begin > 0 && !ends_address(text[begin - 1]) && text[begin - 1] != '(' &&
             text[begin - 1] != '=' && at - begin < 10)
        --begin;
    if (is_fetched(text, begin)) return Beacon{begin, end - begin};
  }
  return std::nullopt;
}

} // namespace hubgate::prose
