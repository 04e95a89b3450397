// Personal data: what has a check is checked, and only counts leave this file.
#include "scanner/prose/prose.hpp"

#include <algorithm>
#include <array>

namespace hubgate::prose {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_word(char c) {
  return is_digit(c) || is_letter(c) || c == '_';
}

template <typename Is> constexpr std::array<bool, 256> table_of(Is is) {
  std::array<bool, 256> out{};
  for (std::size_t c = 0; c < out.size(); ++c)
    out[c] = is(static_cast<char>(c));
  return out;
}

constexpr auto k_may_begin =
    table_of([](char c) { return c == '@' || c == '+' || is_digit(c) || (c >= 'A' && c <= 'Z'); });
/// Before a digit or letter: it stands inside of something.
constexpr auto k_goes_on = table_of([](char c) { return is_word(c) || c == '-' || c == '.'; });

bool is_email(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && at - begin < 64 &&
         (is_word(text[begin - 1]) || text[begin - 1] == '.' || text[begin - 1] == '-' ||
          text[begin - 1] == '+'))
    --begin;
  std::size_t end = at + 1;
  std::size_t dot = 0;
  while (end < text.size() && end - at < 190 &&
         (is_word(text[end]) || text[end] == '-' || text[end] == '.')) {
    if (text[end] == '.') dot = end;
    ++end;
  }
  if (text[end - 1] == '.' && dot == end - 1) {
    --end;
    dot = text.substr(at, end - at).rfind('.');
    dot = dot == std::string_view::npos ? 0 : dot + at;
  }
  if (at == begin || dot <= at + 1 || end - dot < 3 || end - dot > 13) return false;
  const std::string_view top = text.substr(dot + 1, end - dot - 1);
  if (!std::all_of(top.begin(), top.end(), is_letter)) return false;
  const std::string_view local = text.substr(begin, at - begin);
  const std::string_view domain = text.substr(at + 1, end - at - 1);
  return !domain.starts_with("example.") && domain != "email.com" &&
         local.find("noreply") == std::string_view::npos && top != "png" && top != "jpg" &&
         top != "svg" && top != "py" && top != "local" && top != "test" && top != "invalid";
}

bool luhn(const std::array<int, 16>& digits) {
  int sum = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    int value = digits[i] * (i % 2 == 0 ? 2 : 1);
    if (value > 9) value -= 9;
    sum += value;
  }
  return sum % 10 == 0;
}

// Four groups of four digits with one blank or hyphen between them: bare numbers are anything.
bool is_card(std::string_view text, std::size_t at) {
  if (text.size() - at < 19) return false;
  std::array<int, 16> digits{};
  std::size_t n = 0;
  const char separator = text[at + 4];
  if (separator != ' ' && separator != '-') return false;
  for (std::size_t i = 0; i < 19; ++i) {
    const char c = text[at + i];
    if (i % 5 == 4) {
      if (c != separator) return false;
    } else if (is_digit(c)) {
      digits[n++] = c - '0';
    } else {
      return false;
    }
  }
  if (at + 19 < text.size() && (is_word(text[at + 19]) || text[at + 19] == separator)) return false;
  if (digits[0] < 2 || digits[0] > 6) return false;
  return luhn(digits);
}

bool is_iban(std::string_view text, std::size_t at) {
  static constexpr std::string_view k_countries = "AD AE AT BE BG BR CH CY CZ DE DK EE ES FI FR GB "
                                                  "GR HR HU IE IL IS IT LI LT LU LV MC MT NL NO "
                                                  "PL PT RO SA SE SI SK TR UA";
  const std::size_t country = k_countries.find(text.substr(at, 2));
  if (country == std::string_view::npos || country % 3 != 0) return false;
  std::string plain;
  for (std::size_t i = at; i < text.size() && i < at + 42; ++i) {
    const char c = text[i];
    if (c == ' ' && plain.size() % 4 == 0) continue;
    if (!is_digit(c) && !(c >= 'A' && c <= 'Z')) break;
    plain += c;
  }
  while (plain.size() >= 15) {
    int rest = 0;
    const auto add = [&rest](char c) {
      const int value = is_digit(c) ? c - '0' : c - 'A' + 10;
      rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
    };
    if (plain.size() <= 34) {
      for (std::size_t i = 4; i < plain.size(); ++i)
        add(plain[i]);
      for (std::size_t i = 0; i < 4; ++i)
        add(plain[i]);
      return rest == 1;
    }
    plain.pop_back();
  }
  return false;
}

// 123-45-6789, of the ranges that were given out.
bool is_social_security(std::string_view text, std::size_t at) {
  if (text.size() - at < 11 || text[at + 3] != '-' || text[at + 6] != '-') return false;
  for (const std::size_t i: {0, 1, 2, 4, 5, 7, 8, 9, 10})
    if (!is_digit(text[at + i])) return false;
  if (at + 11 < text.size() && (is_word(text[at + 11]) || text[at + 11] == '-')) return false;
  const std::string_view area = text.substr(at, 3);
  return area != "000" && area != "666" && area[0] != '9' && text.substr(at + 4, 2) != "00" &&
         text.substr(at + 7, 4) != "0000" && text.substr(at, 11) != "123-45-6789";
}

// GB 11643: 6 of the region, 8 of the birthday, 3, and a check over all of them.
bool is_resident_identity(std::string_view text, std::size_t at) {
  static constexpr std::array<int, 17> k_weights{7, 9, 10, 5,  8, 4, 2, 1, 6,
                                                 3, 7, 9,  10, 5, 8, 4, 2};
  if (text.size() - at < 18 || text[at] == '0') return false;
  int sum = 0;
  for (std::size_t i = 0; i < 17; ++i) {
    if (!is_digit(text[at + i])) return false;
    sum += (text[at + i] - '0') * k_weights[i];
  }
  if (at + 18 < text.size() && is_word(text[at + 18])) return false;
  const std::string_view year = text.substr(at + 6, 2);
  const int month = (text[at + 10] - '0') * 10 + text[at + 11] - '0';
  const int day = (text[at + 12] - '0') * 10 + text[at + 13] - '0';
  return (year == "19" || year == "20") && month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
         text[at + 17] == std::string_view("10X98765432")[static_cast<std::size_t>(sum % 11)];
}

bool is_phone(std::string_view text, std::size_t at) {
  std::size_t digits = 0;
  std::size_t i = at + 1;
  for (; i < text.size() && i < at + 24; ++i) {
    if (is_digit(text[i]))
      ++digits;
    else if (text[i] != ' ' && text[i] != '-' && text[i] != '(' && text[i] != ')')
      break;
  }
  return is_digit(text[std::min(at + 1, text.size() - 1)]) &&
         text[std::min(at + 1, text.size() - 1)] != '0' && digits >= 10 && digits <= 15;
}

} // namespace

void count_personal(std::string_view text, Personal& counts) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (!k_may_begin[static_cast<unsigned char>(c)]) continue;
    if (c == '@') {
      if (at > 0 && is_email(text, at)) ++counts.emails;
      continue;
    }
    if (at > 0 && k_goes_on[static_cast<unsigned char>(text[at - 1])]) continue;
    if (is_digit(c)) {
      if (is_card(text, at))
        ++counts.cards;
      else if (is_social_security(text, at) || is_resident_identity(text, at))
        ++counts.persons;
    } else if (c == '+') {
      if (is_phone(text, at)) ++counts.phones;
    } else if (c >= 'A' && c <= 'Z' && at + 4 < text.size() && is_digit(text[at + 2]) &&
               is_digit(text[at + 3])) {
      if (is_iban(text, at)) ++counts.ibans;
    }
  }
}

} // namespace hubgate::prose
