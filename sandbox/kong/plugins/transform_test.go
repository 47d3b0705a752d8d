package plugins

import (
	"strings"
	"testing"
)

func TestArgumentsHaveOneSeparatorAndNoPlus(t *testing.T) {
	for query, encoded := range map[string]string{
		"a=1;b=2&c=d+e": "a=1%3Bb%3D2&c=d%20e",
		"a&b=":          "a=&b=",
		"a=%zz&b=1":     "b=1",
	} {
		if found := encodeArguments(parseArguments(query)); found != encoded {
			t.Errorf("%s becomes %s, not %s", query, found, encoded)
		}
	}
}

func TestKongsListOfBotsHasLibrariesAndNamesWithAVersion(t *testing.T) {
	for agent, bot := range map[string]bool{
		"okhttp/4.12.0": true, "axios/1.7": true, "Go-http-client/2.0": true, "aws-sdk-java/2.20": true, "AhrefsBot/7.0": true,
		"Mozilla/5.0 (compatible; Googlebot/2.1)": true, "my-spider": true, "Yahoo! Slurp": true,
		"curl/8.5.0": false, "python-requests/2.32": false, "AhrefsBot": false, "GO-HTTP-CLIENT": false,
		"Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0": false,
	} {
		if knownBots.MatchString(agent) != bot {
			t.Errorf("%s: not %v", agent, bot)
		}
	}
}

func TestATokenIsRefusedInKongsWords(t *testing.T) {
	const header, claims = "eyJhbGciOiJIUzI1NiJ9", "eyJpc3MiOiJhIn0"
	for token, message := range map[string]string{
		"no.token":                                           "invalid JSON",
		"bm8.bm8.bm8":                                        "invalid JSON",
		"eyJhbGciOiJub25lIn0." + claims + ".":                "invalid alg",
		"eyJhbGciOiJIUzEifQ." + claims + ".bm8":              "invalid alg",
		header + "." + claims + ".bm8.x":                     "invalid signature",
		header + "." + claims + ".!":                         "invalid signature",
		header + "." + claims + "." + strings.Repeat("A", 1): "invalid signature",
	} {
		if _, _, _, err := parseToken(token); err == nil || err.Error() != message {
			t.Errorf("%s: %v, not %s", token, err, message)
		}
	}
	if token, _, _, err := parseToken(header + "." + claims + ".bm8="); err != nil || token.Method.Alg() != "HS256" {
		t.Errorf("a padded signature: %v", err)
	}
}
