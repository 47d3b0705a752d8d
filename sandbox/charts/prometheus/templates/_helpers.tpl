{{- /* What is on by default and this stand-in lacks has to be off. */}}
{{- define "prometheus.refuse" -}}
{{- range $name := list "alertmanager" "kube-state-metrics" "prometheus-node-exporter" "prometheus-pushgateway" }}
{{- if (get $.Values $name).enabled }}{{ fail (printf "%s.enabled: not in the stand-in; set it to false" $name) }}{{ end }}
{{- end }}
{{- if or .Values.rbac.create .Values.configmapReload.prometheus.enabled .Values.server.persistentVolume.enabled }}
{{- fail "rbac.create, configmapReload.prometheus.enabled, server.persistentVolume.enabled: not in the stand-in; set them to false" }}
{{- end }}
{{- end }}

{{- define "prometheus.fullname" -}}
{{ .Release.Name }}-{{ .Values.server.name }}
{{- end }}

{{- define "prometheus.selector" -}}
app.kubernetes.io/component: {{ .Values.server.name }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
