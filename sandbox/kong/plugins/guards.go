package plugins

import (
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"kong/declarative"
	"kong/gateway"
	"kong/settings"
)

// Plugins that refuse some requests.

type ipRestriction struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// newIPRestriction filters by the client's address according to trusted hops.
func newIPRestriction(c *ipRestriction, _ *declarative.PluginEntity, faults *declarative.Faults) gateway.Handler {
	if len(c.Allow)+len(c.Deny) == 0 {
		faults.Add("config", "at least one of these fields must be non-empty: 'allow', 'deny'")
	}
	parse := func(field string, texts []string) (ranges []netip.Prefix) {
		for _, text := range texts {
			prefix, err := settings.ParsePrefix(text)
			if err != nil {
				faults.Add("config."+field, "invalid ip or cidr range: '"+text+"'")
			}
			ranges = append(ranges, prefix)
		}
		return ranges
	}
	allow, deny := parse("allow", c.Allow), parse("deny", c.Deny)
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		within := func(p netip.Prefix) bool { return p.Contains(x.Client) }
		if slices.ContainsFunc(deny, within) || len(allow) > 0 && !slices.ContainsFunc(allow, within) {
			x.Fail(http.StatusForbidden, "IP address not allowed: "+x.Client.String())
		}
	}}
}

type sizeLimit struct {
	AllowedPayloadSize int    `json:"allowed_payload_size"`
	SizeUnit           string `json:"size_unit" oneof:"megabytes"`
}

func newSizeLimit(c *sizeLimit, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	limit := int64(c.AllowedPayloadSize) << 20
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		size := x.Request.ContentLength
		if size < 0 {
			content, _ := io.ReadAll(io.LimitReader(x.Request.Body, limit+1))
			x.ReplaceBody(content)
			size = int64(len(content))
		}
		if size > limit {
			status := http.StatusRequestEntityTooLarge
			if strings.EqualFold(x.Request.Header.Get("Expect"), "100-continue") {
				status = http.StatusExpectationFailed
			}
			x.Fail(status, "Request size limit exceeded")
		}
	}}
}

type botDetection struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// knownBots is a subset of Kong's list, which is from 2018: names with a version that end like a crawler's, anything with
// "spider", "scrape" or "crawl", HTTP client libraries, and some crawlers known by name. Case counts.
var knownBots = regexp.MustCompile(strings.Join([]string{
	`[Ss][Pp][Ii][Dd][Ee][Rr]|[Ss]crape|[Cc][Rr][Aa][Ww][Ll]`,
	`([Bb]ot|[Aa]rchiver|[Ii]ndexer)[/ ]\d`,
	`(facebookexternalhit|Boto3?|aws-cli|aws-sdk-(cpp|go|java|nodejs|ruby2?|dotnet-\w+)|s3fs)/\d+\.\d`,
	`Apache-HttpClient|Go-http-client|Google-HTTP-Java-Client|HttpMonitor|Python-urllib|WinHTTP|aihttp|axios|okhttp|reqwest`,
	`scalaj-http|unirest-(java|python|ruby|nodejs|php|net)`,
	`AdsBot-Google|BingPreview|Googlebot|LinkedInBot|MJ12bot|Mediapartners-Google|Scrapy|SemrushBot|Slack-ImgProxy`,
	`Slackbot-LinkExpanding|Slurp|Twitterbot|WhatsApp|WordPress|Yandex\w|bingbot|favicon|ia_archiver|msnbot`,
}, "|"))

func newBotDetection(c *botDetection, _ *declarative.PluginEntity, faults *declarative.Faults) gateway.Handler {
	compile := func(field string, patterns []string) (result []*regexp.Regexp) {
		for _, pattern := range patterns {
			compiled, err := regexp.Compile(pattern)
			if err != nil {
				faults.Add("config."+field, "invalid regex: "+err.Error())
			}
			result = append(result, compiled)
		}
		return result
	}
	allow, deny := compile("allow", c.Allow), append(compile("deny", c.Deny), knownBots)
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		agents := x.Request.Header.Values("User-Agent")
		if len(agents) > 1 {
			x.Fail(http.StatusBadRequest, "Only one User-Agent header allowed")
			return
		}
		if len(agents) == 0 {
			return
		}
		fits := func(pattern *regexp.Regexp) bool { return pattern.MatchString(strings.TrimSpace(agents[0])) }
		if !slices.ContainsFunc(allow, fits) && slices.ContainsFunc(deny, fits) {
			x.Fail(http.StatusForbidden, "Forbidden")
		}
	}}
}
