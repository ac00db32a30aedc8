{{/* Labels of a component: call it with a list of the root context and the component's name. */}}
{{- define "preview.labels" -}}
{{- $root := index . 0 -}}
{{ include "preview.selector" . }}
app.kubernetes.io/part-of: {{ $root.Values.preview.project }}
{{- end }}

{{/* What selectors of a component match. */}}
{{- define "preview.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{/* The image and when it is pulled. */}}
{{- define "preview.image" -}}
{{- with .Values.image -}}
{{- if .tagFromRevision -}}
image: "{{ .repository }}:{{ $.Values.preview.revision }}"
{{- else if .tag -}}
image: "{{ .repository }}:{{ .tag }}"
{{- else -}}
image: {{ .repository | quote }}
{{- end }}
imagePullPolicy: {{ .pullPolicy }}
{{- end -}}
{{- end }}

{{/* Of a pod: no root. Call it with the user. */}}
{{- define "preview.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* Of a container: no capability, nothing to write to. */}}
{{- define "preview.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Of a pod: who it is. */}}
{{- define "web.pod" -}}
serviceAccountName: web
automountServiceAccountToken: false
enableServiceLinks: false
{{- end }}

{{/* The variables of every container of the application. */}}
{{- define "web.environment" -}}
envFrom:
  - configMapRef:
      name: web
  - secretRef:
      name: web
env:
  - name: REVISION
    value: {{ .Values.preview.revision | quote }}
  {{- if .Values.database.enabled }}
  - name: DATABASE_URL
    value: postgres://app:$(DATABASE_PASSWORD)@database:5432/app
  {{- end }}
  {{- if .Values.cache.enabled }}
  - name: CACHE_URL
    value: redis://cache:6379
  {{- end }}
{{- end }}
