{{- define "prometheus.fullname" -}}
{{ .Release.Name }}-{{ .Values.server.name }}
{{- end }}

{{- define "prometheus.selector" -}}
app.kubernetes.io/component: {{ .Values.server.name }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
